"""Switches over the platform API, to read (docs/platform-api.md)."""
