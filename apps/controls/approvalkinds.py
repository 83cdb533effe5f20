"""What takes more than one of staff (requirements E2, A9; threat-T10): each app registers the kinds it carries out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from apps.audit.actors import Actor
from apps.controls.errors import UnknownApproval
from apps.controls.policy import APPROVAL_KIND_LENGTH_MAX, APPROVAL_LASTS

Payload = Mapping[str, Any]


class Change(NamedTuple):
    """One line of what an approval changes, in words for staff. It goes to the audit log, but of a private kind."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What is carried out. `approvers` are in the order in which they approved; none of them is the maker."""

    request_id: int
    subject: str
    payload: Payload
    reason: str
    maker: Actor
    approvers: tuple[Actor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalKind:
    """`permission` is what an approver must have, `asking` what the maker must (empty: the service that asks decides).

    `describe(subject, payload)` tells what would change now, and nothing that moves by itself; `apply` does it, in the
    transaction of the last approval. Both raise DomainErrors where it cannot be. With `wait` the last approval is not
    given before so long after the request; `lasts` is how long it can be given then. Of a `private` kind the audit log
    gets only what changes, neither before nor after, nor the payload: for addresses of users; and of one without
    `asking` no reason of the maker, who may be a user. `called` is how the page names a subject to staff; it is kept
    nowhere.
    """

    name: str
    title: str
    permission: str
    describe: Callable[[str, Payload], Iterable[Change]]
    apply: Callable[[Approved], None]
    called: Callable[[str], str] = str
    asking: str = ""
    approvers_needed: int = 1
    wait: timedelta = timedelta(0)
    lasts: timedelta = APPROVAL_LASTS
    private: bool = False


_KINDS: dict[str, ApprovalKind] = {}


def register(kind: ApprovalKind) -> None:
    """Called once for each kind by the app that carries it out, when it is ready."""
    assert 0 < len(kind.name) <= APPROVAL_KIND_LENGTH_MAX, kind.name
    assert kind.approvers_needed > 0, kind.name
    assert _KINDS.get(kind.name, kind) == kind, f"another kind is named {kind.name}"
    _KINDS[kind.name] = kind


def kinds() -> tuple[ApprovalKind, ...]:
    """All of them, by name."""
    return tuple(_KINDS[name] for name in sorted(_KINDS))


def kind_named(name: str) -> ApprovalKind:
    """UnknownApproval where this release has none of that name."""
    try:
        return _KINDS[name]
    except KeyError as error:
        raise UnknownApproval(f"This release knows no approvals of the kind {name[:60]!r}.") from error
