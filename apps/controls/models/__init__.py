"""Switches, and requests that wait for others of staff."""

from apps.controls.models.approvals import Approval, ApprovalRequest, ApprovalState
from apps.controls.models.switches import Switch

__all__ = ["Approval", "ApprovalRequest", "ApprovalState", "Switch"]
