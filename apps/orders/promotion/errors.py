"""Why a second site is not promoted. Nothing has changed when one of these is raised, unless its text says what."""

from apps.common.errors import DomainError


class PromotionRefused(DomainError):
    """This site must not serve, or cannot now. `code` says why, the message what to do."""

    code = "promotion_refused"


class PrimaryAnswers(PromotionRefused):
    """The primary site shows a sign of life."""

    code = "primary_answers"


class NoSecondSite(PromotionRefused):
    """The servers here are not a standby and a replica."""

    code = "no_second_site"


class CheckFailed(PromotionRefused):
    """What this site has does not agree with itself. `check` is its stable name (docs/two-sites.md)."""

    code = "check_failed"

    def __init__(self, check: str, message: str) -> None:
        super().__init__(f"check '{check}' failed: {message}")
        self.check = check
