"""Refusals of this app. Each says what to do; nothing has changed when one is raised."""

from apps.common.errors import DomainError


class InvalidSwitch(DomainError):
    """There is no such switch, or it cannot end then."""

    code = "INVALID_SWITCH"


class UnknownSubject(DomainError):
    """No asset, class or user of that name: the switch would close nothing."""

    code = "UNKNOWN_SUBJECT"


class UnknownApproval(DomainError):
    """No request of that number, or of a kind that this release has."""

    code = "UNKNOWN_APPROVAL"


class ApprovalClosed(DomainError):
    """It was decided, withdrawn, or nobody decided in time."""

    code = "APPROVAL_CLOSED"


class ApprovalRefused(DomainError):
    """Not by this one of staff: who asked, whom it is about, who approved it before, or who has not the right."""

    code = "APPROVAL_REFUSED"


class ApprovalTooEarly(DomainError):
    """Its time of waiting is not over."""

    code = "APPROVAL_TOO_EARLY"


class ApprovalStale(DomainError):
    """It would change something else than it said when it was asked for, or nothing any more."""

    code = "APPROVAL_STALE"


class AlreadyAsked(DomainError):
    """A request for the same thing waits for its decision."""

    code = "ALREADY_ASKED"
