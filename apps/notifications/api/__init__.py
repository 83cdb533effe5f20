"""The in-app centre over the platform API (docs/platform-api.md)."""
