"""Balances and transfers over the platform API (docs/platform-api.md)."""
