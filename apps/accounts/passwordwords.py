"""Passwords that are little more than a word of the platform (ASVS 6.2.11): the first that somebody tries here."""

from typing import Final

from django.core.exceptions import ValidationError

from apps.accounts.models import User
from apps.accounts.policy import PASSWORD_LENGTH_MIN

WORDS: Final = ("nebannpet", "exchange", "bitcoin")


class PlatformWordsValidator:
    """Without these words, what is left must be as long as a password."""

    def validate(self, password: str, user: User | None = None) -> None:
        left = password.lower()
        for word in WORDS:
            left = left.replace(word, "")
        if left != password.lower() and len(left) < PASSWORD_LENGTH_MIN:
            raise ValidationError(
                f"Words such as {', '.join(WORDS)} do not count: without them, at least {PASSWORD_LENGTH_MIN} "
                "characters must be left.",
                code="password_of_the_platform",
            )

    def get_help_text(self) -> str:
        return f"Words such as {', '.join(WORDS)} do not count."
