"""Rate limits (requirement I3): request weight by address, orders by account, counted for all gateways together."""
