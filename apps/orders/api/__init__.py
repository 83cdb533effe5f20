"""Allocation rules over the platform API (docs/platform-api.md)."""
