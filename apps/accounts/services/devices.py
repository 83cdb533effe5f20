"""Which browsers are a user's: remembering them at a log-in or by a mailed link, and forgetting them."""

from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest

from apps.accounts.addresses import normalise_email
from apps.accounts.devicecookie import give_new_token, keep_tokens, token_hashes
from apps.accounts.errors import DeviceNotFound, InvalidEmail
from apps.accounts.models import Device, OpenSession, User
from apps.accounts.policy import DEVICE_KEPT_S, DEVICES_PER_USER_MAX
from apps.accounts.services.ending import end_sessions, lock_sessions
from apps.accounts.tokens import hash_token
from apps.accounts.visitor import client_browser
from apps.audit.actors import acting
from apps.audit.services import record
from apps.web.visitor import client_address


def known_devices(request: HttpRequest) -> QuerySet[Device]:
    """Those of any user that the browser has a token of, newest first."""
    since = Now() - timedelta(seconds=DEVICE_KEPT_S)
    return Device.objects.filter(token_hash__in=token_hashes(request), seen_at__gt=since).order_by("-id")


def known_device_id(*, request: HttpRequest, email: str) -> int | None:
    """Of the browser, if whoever has this address logged in there. One query, whether there is such a user or not."""
    try:
        address = normalise_email(email)
    except InvalidEmail:
        return None
    return known_devices(request).filter(user__email=address).values_list("pk", flat=True).first()


def remember_device(*, request: HttpRequest, user: User, logged_in: bool) -> tuple[Device, bool]:
    """The user's device of this browser, and whether nobody had logged in to the account there before.

    A browser that is none gets a token that nobody can have planted there before. In the caller's transaction, which
    has locked the user's row: parallel log-ins do not pass the limit together. The oldest device beyond it is
    forgotten, with its sessions.
    """
    seen = {"browser": client_browser(request), "address": client_address(request), "seen_at": Now()}
    device = known_devices(request).filter(user=user.pk).first()
    if device is None:
        for oldest in Device.objects.filter(user=user.pk).order_by("-seen_at", "-id")[DEVICES_PER_USER_MAX - 1 :]:
            _forget(oldest)
        device = Device.objects.create(user_id=user.pk, token_hash=hash_token(give_new_token(request)), **seen)
    else:
        keep_tokens(request)
        Device.objects.filter(pk=device.pk).update(**seen)
    is_new = device.logged_in_at is None
    if logged_in:
        Device.objects.filter(pk=device.pk).update(logged_in_at=Now())
    return device, is_new


def know_browser(*, request: HttpRequest, user: User) -> None:
    """Whoever sits there reads the user's mail: strangers who guess do not keep this browser from logging in."""
    with transaction.atomic():
        lock_sessions(user.pk)
        remember_device(request=request, user=user, logged_in=False)


def forget_device(*, user_id: int, device_id: int) -> None:
    """End what is open in it; the next log-in there is one from a new device.

    Raises DeviceNotFound, for a foreign one too.
    """
    with transaction.atomic():
        lock_sessions(user_id)
        device = Device.objects.filter(pk=device_id, user=user_id).first()
        if device is None:
            raise DeviceNotFound("There is no such browser in your account.")
        _forget(device)
        record(actor=acting(), action="user.device-forgotten", object=f"user:{user_id}")


def _forget(device: Device) -> None:
    end_sessions(OpenSession.objects.filter(device=device.pk))
    device.delete()
