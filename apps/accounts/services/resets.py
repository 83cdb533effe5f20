"""A forgotten password (requirement A1)."""

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Now

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import LinkDead, ResetRefused, TooManyAttempts
from apps.accounts.models import MailedLink, OpenSession, User
from apps.accounts.policy import LINKS_WINDOW_S
from apps.accounts.services.announcements import tell_password_changed
from apps.accounts.services.codes import forget_failures
from apps.accounts.services.ending import end_sessions, lock_sessions
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.links import Purpose, find_link, issue_link, use_up
from apps.audit.actors import Actor, acting
from apps.audit.services import record
from apps.notifications.models import Topic
from apps.notifications.services import send_email
from apps.outbox.requests import required_reason


def request_reset(*, email: str, client: str) -> None:
    """Mail a link to set a new password; to an address without an account, that it has none (threat-T4).

    The same queries and one message in both cases. Raises InvalidEmail and TooManyAttempts.
    """
    address = normalise_email(email)
    with transaction.atomic():
        user = User.objects.filter(email=address, is_active=True).first()
        user_id = None if user is None else user.pk
        link = issue_link(purpose=Purpose.RESET, address=address, user_id=user_id, client=client)
        if link is not None and user is not None:
            _mail(user, link, "reset_locked" if user.lock_needs_staff else "reset")
        elif link is not None:
            send_email(to=address, template="reset_unknown", context={}, topic=Topic.SECURITY, user_id=None)


def send_reset(*, user_id: int, client: str, reason: str, actor: Actor) -> None:
    """Staff, at `client`, begin a reset: the link goes to the owner's address, and nothing changes before it is
    followed. So nobody of staff chooses or sees a password (ASVS 6.4.6). Raises ReasonMissing, ResetRefused, and
    TooManyAttempts where the address or the network of `client` has links enough.
    """
    clean_reason = required_reason(reason)
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        if not user.is_active:
            raise ResetRefused("This user is switched off. Ask to switch them on again first.")
        if user.lock_needs_staff:
            raise ResetRefused("This account is locked. Find out whose it is, and ask to release the lock.")
        link = issue_link(purpose=Purpose.RESET, address=user.email, user_id=user.pk, client=client)
        if link is None:
            raise TooManyAttempts(
                "This address has links enough that were not followed. Try again in an hour.",
                retry_after_s=LINKS_WINDOW_S,
            )
        _mail(user, link, "reset")
        record(actor=actor, action="user.reset-sent", object=f"user:{user_id}", reason=clean_reason)


def _mail(user: User, link: str, template: str) -> None:
    context = {"link": link, "phrase": user.mail_phrase}
    send_email(to=user.email, template=template, context=context, topic=Topic.SECURITY, user_id=user.pk)


def reset_password(*, token: str, new_password: str) -> None:
    """Set it, prove the address by the way, end all sessions and trading sockets, hold withdrawals, tell the owner.

    Sockets end by the trigger accounts_user_changed, too. It is the way back after the owner has locked the account.
    Raises LinkDead, Django's ValidationError and TooBusy.
    """
    user = owner_of_reset(token=token)
    validate_password(new_password, user)
    password_hash = make_password(new_password)
    with transaction.atomic():
        link = find_link(purpose=Purpose.RESET, token=token, lock=True)
        lock_sessions(user.pk)
        was_locked = User.objects.filter(pk=user.pk).exclude(locked_at=None).exists()
        changed = _owners(link).update(
            password=password_hash, email_verified_at=Coalesce("email_verified_at", Now()), locked_at=None
        )
        if not changed:
            raise LinkDead("This link does not work any more. Ask for a new one.")
        forget_failures(user.pk)
        end_sessions(OpenSession.objects.filter(user=user))
        record(actor=acting(), action="user.password-changed", object=f"user:{link.user_id}", reason="by a mailed link")
        if was_locked:
            record(actor=acting(), action="user.unlocked", object=f"user:{link.user_id}", reason="by a new password")
        use_up(link)
        hold_withdrawals(user=user, reason=HoldReason.PASSWORD_RESET)
        tell_password_changed(user)


def owner_of_reset(*, token: str) -> User:
    """Whose password the link sets. Raises LinkDead, also when the address is not theirs any more."""
    link = find_link(purpose=Purpose.RESET, token=token)
    user = _owners(link).first()
    if user is None:
        raise LinkDead("This link does not work any more. Ask for a new one.")
    return user


def _owners(link: MailedLink) -> QuerySet[User]:
    """One or none. Where staff have to find out whose an account is, its address proves nothing."""
    return User.objects.filter(mailed_links=link.pk, email=link.address, is_active=True, lock_needs_staff=False)
