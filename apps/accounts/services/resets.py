"""A forgotten password (requirement A1)."""

from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Now

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import LinkDead
from apps.accounts.models import MailedLink, OpenSession, User
from apps.accounts.services.announcements import tell_password_changed
from apps.accounts.services.codes import forget_failures
from apps.accounts.services.ending import end_sessions, lock_sessions
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.links import Purpose, find_link, issue_link, use_up, use_up_all_of
from apps.audit.actors import acting
from apps.audit.services import record
from apps.notifications.models import Topic
from apps.notifications.services import send_email


def request_reset(*, email: str, client: str) -> None:
    """Mail a link to set a new password; to an address without an account, that it has none (threat-T4).

    The same queries and one message in both cases. Raises InvalidEmail and TooManyAttempts.
    """
    address = normalise_email(email)
    with transaction.atomic():
        user = User.objects.filter(email=address, is_active=True).first()
        user_id = None if user is None else user.pk
        link = issue_link(purpose=Purpose.RESET, address=address, user_id=user_id, client=client)
        if link is not None:
            known = "reset_locked" if user is not None and user.lock_needs_staff else "reset"
            send_email(
                to=address,
                template="reset_unknown" if user is None else known,
                context={} if user is None else {"link": link, "phrase": user.mail_phrase},
                topic=Topic.SECURITY,
                user_id=user_id,
            )


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


def set_by_staff(*, user: User, new_password: str | None) -> None:
    """As by a reset, sessions, trading sockets and mailed links end, withdrawals are held, and the owner is told.

    None: no password works any more. An account that its owner has locked stays so. Raises TooBusy.
    """
    user.password = make_password(new_password)
    with transaction.atomic():
        # The order of change_password.
        use_up_all_of(user.pk)
        lock_sessions(user.pk)
        end_sessions(OpenSession.objects.filter(user=user))
        user.save(update_fields=("password",))
        forget_failures(user.pk)
        record(actor=acting(), action="user.password-changed", object=f"user:{user.pk}", reason="by staff")
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
