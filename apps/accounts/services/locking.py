"""An owner who sees something wrong locks the account by one click in an e-mail (requirement A7, threats T4 and T5)."""

from django.db import transaction
from django.db.models.functions import Now

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import AddressTaken, NotLocked
from apps.accounts.models import ApiKey, Device, LockLink, OpenSession, TradingAccount, TradingTicket, User
from apps.accounts.services.announcements import tell_locked
from apps.accounts.services.api_keys import revoke_keys
from apps.accounts.services.ending import end_sessions, lock_sessions
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.links import use_up_all_of
from apps.accounts.services.locklinks import find_lock_link
from apps.audit.actors import acting, named
from apps.audit.services import record
from apps.outbox.requests import required_reason


def lock_account(*, token: str) -> LockLink:
    """End everything that is open in the account, and let nobody in before its owner has set a new password by e-mail.

    Sessions, trading sockets, API keys of all its trading accounts, known browsers and mailed links end; withdrawals
    are held. If the link was mailed to an address that is not the account's any more, a thief may have changed it, or
    the owner may have left a mailbox to one: then a reset does not open it either, but staff do (release_lock).
    An account that is locked already stays so. Raises LinkDead.
    """
    with transaction.atomic():
        user = find_lock_link(token).user
        # The order of all who lock several of these, as in change_password and create_api_key. Keys and tickets come
        # after them (services/locks.py), and no key can be made once the accounts are locked.
        use_up_all_of(user.pk)
        lock_sessions(user.pk)
        list(TradingAccount.objects.select_for_update().filter(owner=user).order_by("pk"))
        link = find_lock_link(token)
        user.refresh_from_db()
        LockLink.objects.filter(pk=link.pk).update(used_at=Now())
        user.lock_needs_staff = user.lock_needs_staff or link.address != user.email
        User.objects.filter(pk=user.pk).update(locked_at=Now(), lock_needs_staff=user.lock_needs_staff)
        end_sessions(OpenSession.objects.filter(user=user))
        TradingTicket.objects.filter(user=user, revoked_at=None).update(revoked_at=Now())
        revoke_keys(ApiKey.objects.filter(account__owner=user))
        Device.objects.filter(user=user).delete()
        hold_withdrawals(user=user, reason=HoldReason.ACCOUNT_LOCKED)
        record(
            actor=acting(),
            action="user.locked",
            object=f"user:{user.pk}",
            after={"needs_staff": user.lock_needs_staff},
            reason="by a mailed link",
        )
        for address in {user.email, link.address}:
            tell_locked(user, to=address)
    return link


def release_lock(*, user_id: int, address: str, reason: str, requested_by: str) -> None:
    """Staff found out whose the account is: its address is this one from now on, and a reset by e-mail opens it.

    Raises InvalidEmail, ReasonMissing, AddressTaken, and NotLocked where there is nothing to release.
    """
    wanted, reason = normalise_email(address), required_reason(reason)
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        if not user.lock_needs_staff:
            raise NotLocked("This account is not locked in a way that needs staff.")
        if User.objects.filter(email=wanted).exclude(pk=user_id).exists():
            raise AddressTaken("This address has another account.")
        changed = wanted != user.email
        user.email, user.lock_needs_staff = wanted, False
        user.save(update_fields=("email", "lock_needs_staff"))
        # Whoever had the address before has links of that time, each of which would lock it again for staff.
        LockLink.objects.filter(user=user, used_at=None).update(used_at=Now())
        record(
            actor=named(requested_by),
            action="user.lock-released",
            object=f"user:{user_id}",
            after={"other_address": changed},
            reason=reason,
        )
