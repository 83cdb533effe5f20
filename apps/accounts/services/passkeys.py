"""A user's passkeys: added, named, removed (requirement A2)."""

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from apps.accounts.errors import InvalidPasskeyName, PasskeyNotFound, PasskeyRefused, TooManyPasskeys
from apps.accounts.facts import Factor
from apps.accounts.models import RecoveryCode, User
from apps.accounts.passkeyceremonies import REFUSALS, Answer, Ceremonies, read_answer
from apps.accounts.policy import PASSKEY_NAME_LENGTH_MAX, PASSKEYS_PER_USER_MAX
from apps.accounts.selectors import factors_of, passkeys_of
from apps.accounts.services.announcements import OTHERS_ENDED, tell_factors_changed
from apps.accounts.services.ending import end_other_sessions
from apps.accounts.services.factors import check_removable, lock_user
from apps.accounts.services.holds import HoldReason, hold_withdrawals
from apps.accounts.services.passkeychallenges import Purpose, keep_challenge, take_challenge
from apps.accounts.services.recoverycodes import issue_codes
from apps.audit.actors import acting
from apps.audit.services import record


def ask_for_new_passkey(*, user: User, session_key: str, client: str) -> dict[str, Any]:
    """What navigator.credentials.create is to be given (its `publicKey`, as JSON).

    Raises TooManyPasskeys and TooManyAttempts.
    """
    _check_room(user.pk)
    options, _ = Ceremonies().register_begin(user)
    keep_challenge(
        challenge=base64url_to_bytes(options["challenge"]),
        purpose=Purpose.ADD,
        session_key=session_key,
        client=client,
        user_id=user.pk,
    )
    return dict(options)


def answer_taken(*, user_id: int, answer: str, session_key: str) -> Answer:
    """What add_passkey is to be given. The question is used up, and stays so if that refuses. Raises PasskeyRefused."""
    read = read_answer(answer)
    take_challenge(challenge=read.challenge, purpose=Purpose.ADD, session_key=session_key, user_id=user_id)
    return read


def add_passkey(*, user_id: int, name: str, answer: Answer, session_key: str | None = None) -> Sequence[str]:
    """A further passkey from now on; `answer` is of answer_taken.

    Answers the recovery codes of a first factor, in the clear for the only time; nothing where the user has some. All
    sessions but `session_key` end (T5), and the owner is told; withdrawals are not held. Raises InvalidPasskeyName,
    PasskeyRefused and TooManyPasskeys.
    """
    label = checked_name(name)
    with transaction.atomic():
        user = lock_user(user_id)
        _check_room(user_id)
        state = {"challenge": bytes_to_base64url(answer.challenge), "require_user_verification": True}
        try:
            with transaction.atomic():
                passkey = Ceremonies().register_complete(user=user, state=state, data=dict(answer.data))
        except IntegrityError as error:
            raise PasskeyRefused("This passkey is in use already. Remove it there first.") from error
        except REFUSALS as error:
            raise PasskeyRefused("Your browser made a passkey that cannot be used here. Try another one.") from error
        passkey.name = label
        passkey.save(update_fields=("name",))
        _record("user.factor-added", user_id)
        codes = () if RecoveryCode.objects.filter(user=user_id).exists() else issue_codes(user)
        end_other_sessions(user_id=user_id, session_key=session_key)
        tell_factors_changed(user, f"It has a new passkey. {OTHERS_ENDED}")
        return codes


def rename_passkey(*, user_id: int, passkey_id: int, name: str) -> None:
    """Raises InvalidPasskeyName, and PasskeyNotFound, for a foreign one too."""
    with transaction.atomic():
        lock_user(user_id)
        renamed = passkeys_of(user_id=user_id).filter(pk=passkey_id).first()
        if renamed is None:
            raise PasskeyNotFound("You have no such passkey.")
        renamed.name = checked_name(name)
        renamed.save(update_fields=("name",))
        _record("user.passkey-renamed", user_id)


def remove_passkey(*, user_id: int, passkey_id: int, session_key: str | None = None) -> None:
    """It logs in nowhere from now on; withdrawals are held (A4), all sessions but `session_key` end (T5), and the owner
    is told. With the last second factor the recovery codes go, too.

    Raises PasskeyNotFound, for a foreign one too, and FactorNeeded while something needs it (check_removable).
    """
    with transaction.atomic():
        user = lock_user(user_id)
        mine = passkeys_of(user_id=user_id)
        removed = mine.filter(pk=passkey_id).first()
        if removed is None:
            raise PasskeyNotFound("You have no such passkey.")
        if mine.count() == 1:
            check_removable(user, Factor.PASSKEY)
        removed.delete()
        is_last = not factors_of(user_id=user_id)
        if is_last:
            RecoveryCode.objects.filter(user=user_id).delete()
        _record("user.factor-removed", user_id)
        hold_withdrawals(user=user, reason=HoldReason.FACTOR_REMOVED)
        end_other_sessions(user_id=user_id, session_key=session_key)
        left = ": the password alone logs in" if is_last else ", and logs in no more"
        tell_factors_changed(user, f"A passkey was removed{left}. {OTHERS_ENDED}")


def checked_name(name: str) -> str:
    """As it is stored. Raises InvalidPasskeyName."""
    label = name.strip()
    if not label or len(label) > PASSKEY_NAME_LENGTH_MAX or not label.isprintable():
        raise InvalidPasskeyName(f"A passkey has a name of 1 to {PASSKEY_NAME_LENGTH_MAX} letters, digits and signs.")
    return label


def _check_room(user_id: int) -> None:
    if passkeys_of(user_id=user_id).count() >= PASSKEYS_PER_USER_MAX:
        raise TooManyPasskeys(f"You have {PASSKEYS_PER_USER_MAX} passkeys, the most there can be. Remove one first.")


def _record(action: str, user_id: int) -> None:
    record(actor=acting(), action=action, object=f"user:{user_id}", after={"factor": "passkey"})
