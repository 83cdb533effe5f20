"""Two of staff end what is closed (requirement E2): one asks, and another approves."""

from collections.abc import Iterator
from typing import Final

from apps.controls.approvalkinds import ApprovalKind, Approved, Change, Payload
from apps.controls.errors import InvalidSwitch
from apps.controls.kinds import Kind, Scope
from apps.controls.models import ApprovalRequest, Switch
from apps.controls.services.approvals import Member, ask_approval
from apps.controls.services.switches import set_switch

_SUBJECT: Final = "switch:"


def ask_end(*, switch: Switch, reason: str, by: Member) -> ApprovalRequest:
    """Raises InvalidSwitch where it is not on, and as ask_approval."""
    return ask_approval(kind=END_SWITCH.name, subject=f"{_SUBJECT}{switch.pk}", payload={}, reason=reason, by=by)


def _switch(subject: str) -> Switch:
    return Switch.objects.get(pk=int(subject.removeprefix(_SUBJECT)))


def _describe(subject: str, payload: Payload) -> Iterator[Change]:
    switch = _switch(subject)
    if not switch.is_in_force:
        raise InvalidSwitch("It is not on.")
    until = "" if switch.until is None else f" until {switch.until:%Y-%m-%d %H:%M} UTC"
    yield Change(str(switch), f"on{until}" + " (emergency)" * switch.is_emergency, "off")
    yield Change("why it is on", switch.reason, "")


def _end(approved: Approved) -> None:
    switch = _switch(approved.subject)
    set_switch(
        kind=Kind(switch.kind), scope=Scope(switch.scope), subject=switch.subject, on=False,
        actor=approved.approvers[-1], reason=approved.reason, two_agreed=True,
    )  # fmt: skip


END_SWITCH = ApprovalKind(
    name="switch-end",
    title="End a suspension or a freeze",
    asking="controls.change_switch",
    permission="controls.approve_end_switch",
    describe=_describe,
    called=lambda subject: str(_switch(subject)),
    apply=_end,
)
