"""Questions to authenticators: each is answered once, in its session, for its purpose, and not for long (threat-T3)."""

from datetime import timedelta
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from apps.accounts.errors import PasskeyRefused, TooManyAttempts
from apps.accounts.models import PasskeyChallenge
from apps.accounts.policy import PASSKEY_CHALLENGES_PER_NETWORK_MAX
from apps.accounts.tokens import hash_token
from apps.common.networks import network_of


class Purpose(StrEnum):
    """What a passkey is shown for. An answer for one is none for another."""

    ADD = "add"
    LOG_IN = "log-in"
    SECOND_STEP = "second-step"
    CONFIRM = "confirm"
    WITHDRAW_KEY = "withdraw-key"
    CLOSE_ACCOUNT = "close-account"


def check_waiting(client: str) -> None:
    """Raises TooManyAttempts when as many questions as can be wait for answers from the network of `client`."""
    waiting = PasskeyChallenge.objects.filter(network=network_of(client), expires_at__gt=timezone.now()).count()
    if waiting >= PASSKEY_CHALLENGES_PER_NETWORK_MAX:
        seconds = settings.OTP_WEBAUTHN_TIMEOUT_SECONDS
        raise TooManyAttempts(
            f"Too many from your network use passkeys right now. Try again in {seconds // 60} minutes.",
            retry_after_s=seconds,
        )


def keep_challenge(*, challenge: bytes, purpose: Purpose, session_key: str, client: str, user_id: int | None) -> None:
    """Raises TooManyAttempts."""
    check_waiting(client)
    PasskeyChallenge.objects.create(
        challenge=challenge,
        purpose=purpose.value,
        session_hash=hash_token(session_key),
        user_id=user_id,
        network=network_of(client),
        expires_at=timezone.now() + timedelta(seconds=settings.OTP_WEBAUTHN_TIMEOUT_SECONDS),
    )


def take_challenge(*, challenge: bytes, purpose: Purpose, session_key: str, user_id: int | None) -> None:
    """Use it up, whatever its answer is worth: of parallel answers one gets this far. Raises PasskeyRefused.

    Not inside a transaction that a refusal would roll back.
    """
    taken, _ = PasskeyChallenge.objects.filter(
        challenge=challenge,
        purpose=purpose.value,
        session_hash=hash_token(session_key),
        user=user_id,
        expires_at__gt=timezone.now(),
    ).delete()
    if not taken:
        raise PasskeyRefused("That took too long, or was answered already. Try again.")
