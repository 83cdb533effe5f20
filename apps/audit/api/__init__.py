"""Checkpoint and proofs of the audit log over the platform API (docs/platform-api.md)."""
