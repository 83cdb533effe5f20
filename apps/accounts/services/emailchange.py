"""A new e-mail address of an account: proved by a link, and told to the old one (requirement A1)."""

from django.db import transaction
from django.utils import timezone

from apps.accounts.errors import AddressTaken
from apps.accounts.models import User
from apps.accounts.services.announcements import tell_owner
from apps.accounts.services.ending import check_still_in
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.links import Purpose, find_link, issue_link, use_up
from apps.audit.actors import acting
from apps.audit.services import record
from apps.notifications.models import Topic
from apps.notifications.services import send_email


def request_email_change(*, user: User, new_address: str, client: str) -> None:
    """Mail a link to the new address; if it has an account, that somebody tried. The caller cannot tell (threat-T4).

    `new_address` is normalised and the password was confirmed. Raises TooManyAttempts.
    """
    with transaction.atomic():
        owner = User.objects.filter(email=new_address).first()
        link = issue_link(purpose=Purpose.CHANGE, address=new_address, user_id=user.pk, client=client)
        if link is not None:
            send_email(
                to=new_address,
                template="email_change" if owner is None else "email_change_known",
                # Who reads the mail of the new address is not proved yet, so the user's phrase is not told there.
                context={"link": link} if owner is None else {"phrase": owner.mail_phrase},
                topic=Topic.SECURITY,
                user_id=user.pk if owner is None else owner.pk,
            )


def confirm_email_change(*, token: str, user: User, session_key: str | None) -> str:
    """The new address, which is the account's from now on; the old one is told, and withdrawals are
    held for a day. Links to the old one end.

    Only in a session of the same user: whoever reads the mail of a mistyped address cannot take the account.
    Raises LinkDead, AddressTaken, and SessionEnded if that session was ended meanwhile.
    """
    with transaction.atomic():
        link = find_link(purpose=Purpose.CHANGE, token=token, user_id=user.pk, lock=True)
        # Links before users, as in reset_password.
        check_still_in(user_id=user.pk, password_hash=user.password, session_key=session_key)
        use_up(link)
        account = User.objects.get(pk=user.pk)
        if User.objects.filter(email=link.address).exists():
            raise AddressTaken("This address has an account by now. Yours keeps the old one.")
        old = account.email
        account.email, account.email_verified_at = link.address, timezone.now()
        account.save(update_fields=("email", "email_verified_at"))
        record(actor=acting(), action="user.email-changed", object=f"user:{user.pk}")
        hold_withdrawals(user=account, reason=HoldReason.EMAIL_CHANGED)
        tell_owner(account, "email_changed", to=old, new_address=link.address)
    return link.address
