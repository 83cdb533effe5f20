"""The trading API in the Binance Spot dialect: REST, streams and WebSocket API, and the pass-through to the site."""
