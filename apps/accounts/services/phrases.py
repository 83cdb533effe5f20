"""The user's own phrase in e-mail (requirement A1)."""

from django.db import transaction

from apps.accounts.models import User
from apps.accounts.services.announcements import tell_owner
from apps.audit.actors import acting
from apps.audit.services import record


def change_phrase(*, user_id: int, phrase: str) -> None:
    """Set it, and tell the owner with the old one: the new one is not known to them if somebody else chose it.

    The audit log says that it was changed, never what it is. Nothing happens if it is the same.
    """
    with transaction.atomic():
        user = User.objects.select_for_update(no_key=True).get(pk=user_id)
        old, user.mail_phrase = user.mail_phrase, phrase
        if old == phrase:
            return
        user.save(update_fields=("mail_phrase",))
        record(actor=acting(), action="user.phrase-changed", object=f"user:{user.pk}")
        tell_owner(user, "phrase_changed", phrase=old)
