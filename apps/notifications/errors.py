"""Refusals of this app. Each says what to do; nothing has changed when one is raised."""

from apps.common.errors import DomainError


class NotSendable(DomainError):
    """This message cannot be sent again."""

    code = "NOT_SENDABLE"


class ContentUnreadable(DomainError):
    """The stored content does not open with the configured key, or the row was altered."""

    code = "CONTENT_UNREADABLE"
