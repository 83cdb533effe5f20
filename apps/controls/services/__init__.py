"""Writes of this app: switches, and what takes more than one of staff."""

from apps.controls.services.switches import install, set_switch

__all__ = ["install", "set_switch"]
