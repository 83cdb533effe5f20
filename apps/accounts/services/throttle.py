"""Slows down guessing of passwords without telling whether an account exists (threat-T1, requirement A7)."""

import hashlib
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import DeviceNeeded, InvalidEmail, TooManyAttempts
from apps.accounts.models import PasswordAttempt
from apps.accounts.policy import (
    ATTEMPTS_KEPT_S,
    FAILURES_PER_ACCOUNT_MAX,
    FAILURES_PER_ACCOUNT_WINDOW_S,
    FAILURES_PER_NETWORK_MAX,
    FAILURES_PER_SUBJECT_MAX,
    FAILURES_WINDOW_S,
)
from apps.accounts.services.locks import lock_until_commit
from apps.common.networks import network_of

# What speaks for whoever tries. Only strangers are sent for a link by e-mail; the others count by themselves, so that
# no stranger uses up their attempts.
STRANGER: Final = ""
IN_SESSION: Final = "session"
WITH_LINK: Final = "link"
WITH_PASSKEY: Final = "passkey"


def with_device(device_id: int | None) -> str:
    """The origin of an attempt from a browser that has this device's cookie, or none."""
    return STRANGER if device_id is None else f"device {device_id}"


class Attempt:
    """Say `succeeded()` when the password was right; anything else counts as a failure."""

    def __init__(self, row: PasswordAttempt) -> None:
        self._row = row

    def succeeded(self) -> None:
        """Forgets the failures of this subject from this network, too: its owner is there and knows the password."""
        PasswordAttempt.objects.filter(
            subject_hash=self._row.subject_hash, network=self._row.network, succeeded=False, pk__lte=self._row.pk
        ).update(succeeded=True)


def begin_attempt(*, subject: str, address: str, origin: str = STRANGER) -> Attempt:
    """Count an attempt on e-mail address `subject` from IP address `address`, before the password is looked at.

    Refused, with the right password too, are the sixth failure in 15 minutes for one subject from one network, the
    101st from one network, and the 21st in an hour for one subject from one origin: a browser of the owner's by
    itself, all sessions of the user together, and all strangers together, who can go on with a link by e-mail. So
    nobody locks out an owner who is in another network (threat-T1); who shares its IPv4 address can, for 15 minutes.
    Unknown addresses count like known ones. Advisory locks of network and subject make the counts exact for parallel
    attempts. Raises TooManyAttempts, and for strangers DeviceNeeded.
    """
    now = timezone.now()
    network = network_of(address)
    subject_hash = _hash(subject)
    with transaction.atomic():
        lock_until_commit("password attempts", network)
        lock_until_commit("password attempts on", subject_hash.hex())
        from_network = PasswordAttempt.objects.filter(network=network)
        from_network.filter(at__lt=now - timedelta(seconds=ATTEMPTS_KEPT_S)).delete()
        failures = from_network.filter(at__gt=now - timedelta(seconds=FAILURES_WINDOW_S), succeeded=False)
        if (
            failures.filter(subject_hash=subject_hash).count() >= FAILURES_PER_SUBJECT_MAX
            or failures.count() >= FAILURES_PER_NETWORK_MAX
        ):
            raise TooManyAttempts(
                f"Too many failed attempts. Wait {FAILURES_WINDOW_S // 60} minutes and try again; "
                "until then the right password is refused, too.",
                retry_after_s=FAILURES_WINDOW_S,
            )
        since = now - timedelta(seconds=FAILURES_PER_ACCOUNT_WINDOW_S)
        everywhere = PasswordAttempt.objects.filter(
            subject_hash=subject_hash, at__gt=since, origin=origin, succeeded=False
        )
        if everywhere.count() >= FAILURES_PER_ACCOUNT_MAX:
            if origin == STRANGER:
                raise DeviceNeeded(
                    "Too many failed attempts on this address. Log in from a browser in which you did before, or have "
                    "us send you a link that lets this one in.",
                    retry_after_s=FAILURES_PER_ACCOUNT_WINDOW_S,
                )
            raise TooManyAttempts(
                f"Too many failed attempts. Wait {FAILURES_PER_ACCOUNT_WINDOW_S // 60} minutes and try again.",
                retry_after_s=FAILURES_PER_ACCOUNT_WINDOW_S,
            )
        return Attempt(
            PasswordAttempt.objects.create(
                subject_hash=subject_hash, network=network, origin=origin, at=now, succeeded=False
            )
        )


def _hash(subject: str) -> bytes:
    try:
        text = normalise_email(subject)
    except InvalidEmail:
        text = subject
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
