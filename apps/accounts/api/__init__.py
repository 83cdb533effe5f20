"""Users, sessions, keys and accounts over the platform API (docs/platform-api.md)."""
