"""Once a day: what nobody needs any more of links, attempts, questions to passkeys, devices and log-ins goes."""

from datetime import timedelta
from typing import Final

from django.db.models.functions import Now

from apps.accounts.models import Device, LockLink, LogIn, MailedLink, PasskeyChallenge, PasswordAttempt
from apps.accounts.policy import ATTEMPTS_KEPT_S, DEVICE_KEPT_S, LINKS_KEPT_S, LOG_INS_KEPT_S
from apps.accounts.services.links import NO_PASSWORD
from nebannpet.batches import delete_in_batches

AT_ONCE: Final = 5_000


def forget_links_and_attempts() -> tuple[int, int, int]:
    """How many links, links that lock, and attempts were deleted; an unanswered question to a passkey is an attempt.

    A sign-up that was not followed in time loses its password, too.
    """
    MailedLink.objects.filter(expires_at__lt=Now()).exclude(password=NO_PASSWORD).update(password=NO_PASSWORD)
    links = MailedLink.objects.filter(created_at__lt=Now() - timedelta(seconds=LINKS_KEPT_S))
    locking = LockLink.objects.filter(expires_at__lt=Now())
    attempts = PasswordAttempt.objects.filter(at__lt=Now() - timedelta(seconds=ATTEMPTS_KEPT_S))
    unanswered = PasskeyChallenge.objects.filter(expires_at__lt=Now())
    return (
        delete_in_batches(links, at_once=AT_ONCE),
        delete_in_batches(locking, at_once=AT_ONCE),
        delete_in_batches(attempts, at_once=AT_ONCE) + delete_in_batches(unanswered, at_once=AT_ONCE),
    )


def forget_devices_and_log_ins() -> tuple[int, int]:
    """How many devices and log-ins were deleted. No session lasts as long as a device is kept."""
    devices = Device.objects.filter(seen_at__lt=Now() - timedelta(seconds=DEVICE_KEPT_S))
    log_ins = LogIn.objects.filter(at__lt=Now() - timedelta(seconds=LOG_INS_KEPT_S))
    return delete_in_batches(devices, at_once=AT_ONCE), delete_in_batches(log_ins, at_once=AT_ONCE)
