"""Refusals of this app. Each says what to do; nothing has changed when one is raised."""

from apps.common.errors import DomainError


class NotSendable(DomainError):
    """This message cannot be sent again."""

    code = "NOT_SENDABLE"


class ContentUnreadable(DomainError):
    """The stored content does not open with the configured key, or the row was altered."""

    code = "CONTENT_UNREADABLE"


class InvalidNotice(DomainError):
    """The texts or the link of a notice are not as they must be."""

    code = "INVALID_NOTICE"


class NoticeNotFound(DomainError):
    """The user has no such notice."""

    code = "NOTICE_NOT_FOUND"


class TopicNotOptional(DomainError):
    """What is about security or an incident reaches everyone whom it concerns."""

    code = "TOPIC_NOT_OPTIONAL"


class InvalidBanner(DomainError):
    """The banner cannot be shown as it was asked for."""

    code = "INVALID_BANNER"


class BannerOver(DomainError):
    """The banner has ended or was withdrawn."""

    code = "BANNER_OVER"
