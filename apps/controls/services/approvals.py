"""One of staff asks, others decide, and the last approval carries it out (requirements E2, A9; threat-T10).

The row of the request is locked from the first question to the commit, so that of decisions in parallel one counts.
Nobody decides on what they asked for, nor on their own account. Rights are those of the moment: an approval of somebody
who has lost the right since does not count, and neither does a request of such a maker.
"""

from datetime import datetime
from typing import Any, Final, Protocol

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from apps.audit import actors
from apps.audit.services import record
from apps.common.errors import DomainError
from apps.controls.approvalkinds import ApprovalKind, Approved, Payload, kind_named
from apps.controls.errors import (
    AlreadyAsked,
    ApprovalClosed,
    ApprovalRefused,
    ApprovalStale,
    ApprovalTooEarly,
    UnknownApproval,
)
from apps.controls.models import Approval, ApprovalRequest, ApprovalState
from apps.outbox.requests import required_reason

# In the audit log, of a kind that users ask for.
_BY_USER: Final = "Asked by the user."


class Member(Protocol):
    """A row of settings.AUTH_USER_MODEL."""

    pk: Any
    is_active: bool
    is_staff: bool

    def get_username(self) -> str: ...

    def has_perm(self, perm: str, obj: Any = None) -> bool: ...


def ask_approval(*, kind: str, subject: str, payload: Payload, reason: str, by: Member) -> ApprovalRequest:
    """Nothing changes yet. `payload` is of JSON without floats and secrets, money in strings; it is in the audit log.

    Raises ReasonMissing, ApprovalRefused without the right to ask, ApprovalStale where nothing would change,
    AlreadyAsked, and what the kind's `describe` raises.
    """
    what, clean_reason, now = kind_named(kind), required_reason(reason), timezone.now()
    with transaction.atomic():
        maker = _as_of_now(by.pk)
        if not _may_ask(maker, what):
            raise ApprovalRefused(f"You have not the right to ask for this: {what.title}.")
        changes = _changes(what, subject, payload)
        if all(before == after for _, before, after in changes):
            raise ApprovalStale("Nothing would change.")
        of_the_same = ApprovalRequest.objects.filter(kind=kind, subject=subject, state=ApprovalState.OPEN)
        of_the_same.filter(expires_at__lte=now).update(state=ApprovalState.EXPIRED, ended_at=F("expires_at"))
        try:
            with transaction.atomic():
                request = ApprovalRequest.objects.create(
                    kind=kind, subject=subject, payload=payload, changes=changes, reason=clean_reason,
                    maker_id=maker.pk, made_by=_text(maker), made_at=now, ready_at=now + what.wait,
                    expires_at=now + what.wait + what.lasts,
                )  # fmt: skip
        except IntegrityError as error:
            raise AlreadyAsked(f"Another request for this is open: {what.title}, {subject}.") from error
        record(
            actor=actors.of_user(maker),
            action="approval.asked",
            object=_object(request),
            after=_told(request, what) | ({} if what.private else {"payload": payload}),
            # Users write what they like, and nothing can be removed from the audit log.
            reason=clean_reason if what.asking else _BY_USER,
        )
    return request


def approve(*, request_id: int, by: Member, reason: str) -> ApprovalRequest:
    """The last one that is needed carries the request out, and all of it is one transaction.

    Raises ReasonMissing, UnknownApproval, ApprovalClosed, ApprovalRefused, ApprovalTooEarly, ApprovalStale, and what
    the effect raises: then nothing is changed, and the request is still open.
    """
    clean_reason = required_reason(reason)
    with transaction.atomic():
        request, kind, now = _locked(request_id)
        approver = _check_decider(request, kind, by)
        given = list(request.approvals.all())
        if any(each.approver_id == approver.pk for each in given):
            raise ApprovalRefused("You approved this already: it takes somebody else.")
        if not _may_ask(_as_of_now(request.maker_id), kind):
            raise ApprovalRefused(f"{request.made_by} has not the right to ask for this any more: decline it.")
        if _changes(kind, request.subject, request.payload) != [tuple(each) for each in request.changes]:
            raise ApprovalStale(
                "It would change something else by now than it said when it was asked for: decline it, and ask anew."
            )
        counting = [each for each in given if _may_decide(_as_of_now(each.approver_id), kind)]
        is_last = len(counting) + 1 >= kind.approvers_needed
        if is_last and now < request.ready_at:
            raise ApprovalTooEarly(f"The last approval can be given from {request.ready_at:%Y-%m-%d %H:%M} UTC on.")
        mine = Approval.objects.create(
            request=request, approver_id=approver.pk, given_by=_text(approver), given_at=now, reason=clean_reason
        )
        approvers = tuple(actors.named(each.given_by) for each in (*counting, mine))
        if is_last:
            _end(request, ApprovalState.DONE, approver, now, clean_reason)
            kind.apply(
                Approved(
                    request_id=request.pk, subject=request.subject, payload=request.payload, reason=request.reason,
                    maker=actors.named(request.made_by), approvers=approvers,
                )
            )  # fmt: skip
        record(
            actor=actors.of_user(approver),
            action="approval.carried-out" if is_last else "approval.given",
            object=_object(request),
            after=_told(request, kind) | {"approvers": [actor.id for actor in approvers]},
            reason=clean_reason,
        )
    return request


def decline(*, request_id: int, by: Member, reason: str) -> ApprovalRequest:
    """By somebody who could approve it: it ends, and nothing changes. Raises as approve."""
    clean_reason = required_reason(reason)
    with transaction.atomic():
        request, kind, now = _locked(request_id)
        decider = _check_decider(request, kind, by)
        _end(request, ApprovalState.DECLINED, decider, now, clean_reason)
        _record_end(request, kind, "approval.declined", decider, clean_reason)
    return request


def withdraw(*, request_id: int, by: Member, reason: str) -> ApprovalRequest:
    """By the maker: it ends, and nothing changes. Raises as approve."""
    clean_reason = required_reason(reason)
    with transaction.atomic():
        request, kind, now = _locked(request_id)
        maker = _as_of_now(by.pk)
        if maker.pk != request.maker_id:
            raise ApprovalRefused("Only who asked for it withdraws it.")
        _end(request, ApprovalState.WITHDRAWN, maker, now, clean_reason)
        _record_end(request, kind, "approval.withdrawn", maker, clean_reason)
    return request


def why_not_decide(*, request: ApprovalRequest, by: Member) -> str | None:
    """Why this one can neither approve nor decline it, for the page that shows it; None where they can."""
    try:
        _check_decider(request, kind_named(request.kind), by)
    except DomainError as error:
        return error.message
    return None


def _locked(request_id: int) -> tuple[ApprovalRequest, ApprovalKind, datetime]:
    request = ApprovalRequest.objects.select_for_update().filter(pk=request_id).first()
    if request is None:
        raise UnknownApproval(f"There is no request {request_id}.")
    now = timezone.now()
    if not request.is_open(now):
        raise ApprovalClosed(f"This request is {request.state_now} already.")
    return request, kind_named(request.kind), now


def _check_decider(request: ApprovalRequest, kind: ApprovalKind, by: Member) -> Member:
    """The one who decides, as the database has them now. Raises ApprovalRefused."""
    decider: Member = _as_of_now(by.pk)
    if decider.pk == request.maker_id:
        raise ApprovalRefused("You asked for this: it takes somebody else.")
    if request.subject == f"user:{decider.pk}":
        raise ApprovalRefused("This is about your own account: it takes somebody else.")
    if not _may_decide(decider, kind):
        raise ApprovalRefused(f"You have not the right to decide on this: {kind.title}.")
    return decider


def _as_of_now(user_id: int) -> Any:
    """Not as a request has read it: rights may have gone since."""
    return get_user_model().objects.get(pk=user_id)


def _may_ask(member: Member, kind: ApprovalKind) -> bool:
    return not kind.asking or (member.is_active and member.is_staff and member.has_perm(kind.asking))


def _may_decide(member: Member, kind: ApprovalKind) -> bool:
    return member.is_active and member.is_staff and member.has_perm(kind.permission)


def _changes(kind: ApprovalKind, subject: str, payload: Payload) -> list[tuple[str, str, str]]:
    return [(each.what, each.before, each.after) for each in kind.describe(subject, payload)]


def _text(member: Member) -> str:
    return actors.staff_text(member.get_username()) if member.is_staff else actors.user_text(member.pk)


def _object(request: ApprovalRequest) -> str:
    return f"approval:{request.pk}"


def _told(request: ApprovalRequest, kind: ApprovalKind) -> dict[str, Any]:
    return {
        "kind": request.kind,
        "subject": request.subject,
        "maker": actors.named(request.made_by).id,
        "changes": [list(each[:1] if kind.private else each) for each in request.changes],
    }


def _end(request: ApprovalRequest, state: ApprovalState, by: Member, now: datetime, reason: str) -> None:
    request.state, request.ended_at, request.ended_by, request.ended_reason = state, now, _text(by), reason
    request.save(update_fields=("state", "ended_at", "ended_by", "ended_reason"))


def _record_end(request: ApprovalRequest, kind: ApprovalKind, action: str, by: Member, reason: str) -> None:
    record(actor=actors.of_user(by), action=action, object=_object(request), after=_told(request, kind), reason=reason)
