"""Refusals of this app. Each says what to do; nothing has changed when one is raised."""

from apps.common.errors import DomainError


class InvalidSwitch(DomainError):
    """There is no such switch, or it cannot end then."""

    code = "INVALID_SWITCH"


class UnknownSubject(DomainError):
    """No asset, class or user of that name: the switch would close nothing."""

    code = "UNKNOWN_SUBJECT"
