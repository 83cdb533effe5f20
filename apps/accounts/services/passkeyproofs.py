"""Proving to be there with a passkey: at a log-in, as its second step, and to confirm it (requirements A2, A3)."""

import hashlib
from typing import Any, Final, NamedTuple

from django.db import transaction
from django_otp_webauthn.models import WebAuthnCredential, WebAuthnUserHandle
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from apps.accounts.errors import PasskeyRefused
from apps.accounts.facts import Factor, Shown
from apps.accounts.models import User
from apps.accounts.passkeyceremonies import REFUSALS, Answer, Ceremonies, read_answer
from apps.accounts.selectors import users_who_get_in
from apps.accounts.services.announcements import tell_passkey_copied
from apps.accounts.services.history import note_failed_passkey
from apps.accounts.services.passkeychallenges import Purpose, keep_challenge, take_challenge
from apps.accounts.services.throttle import WITH_PASSKEY, begin_attempt
from apps.audit.actors import acting
from apps.audit.services import count, record
from apps.common.networks import network_of

NOT_ACCEPTED: Final = "This passkey was not accepted. Try another one, or another way."


class UsedPasskey(NamedTuple):
    user: User
    shown: Shown


def ask_for_passkey(*, purpose: Purpose, session_key: str, client: str, user: User | None = None) -> dict[str, Any]:
    """What navigator.credentials.get is to be given (its `publicKey`, as JSON): bound to the session and the purpose.

    `user` is whose passkeys are asked for; without one the browser offers those that it has, and nothing tells whether
    there is an account. Raises TooManyAttempts.
    """
    options, _ = Ceremonies().authenticate_begin(user=user, require_user_verification=True)
    keep_challenge(
        challenge=base64url_to_bytes(options["challenge"]),
        purpose=purpose,
        session_key=session_key,
        client=client,
        user_id=None if user is None else user.pk,
    )
    return dict(options)


def use_passkey(
    *, purpose: Purpose, answer: str, session_key: str, client: str, user_id: int | None = None, browser: str = ""
) -> UsedPasskey:
    """Who showed which passkey: `user_id`, or where that is None whoever it belongs to, if they may log in at all.

    The question is used up under the locks of the user's row and of the passkey's, whatever comes out, and the counter
    goes forward with it. One message for every passkey that does not count, for it may be a stranger's. Failures count
    as those of passwords do, and one of a log-in stands in the owner's history, as from `browser`. The owner is told of
    an answer that is right but for its counter. Not inside a transaction that a refusal would roll back. Raises
    PasskeyRefused and TooManyAttempts.
    """
    read = read_answer(answer)
    digest = hashlib.sha256(read.credential_id).hexdigest()
    # By network, so that nobody who has seen the passkey's id elsewhere keeps its owner out.
    attempt = begin_attempt(subject=f"passkey {digest} {network_of(client)}", address=client, origin=WITH_PASSKEY)
    shown: Shown | None = None
    with transaction.atomic():
        take_challenge(challenge=read.challenge, purpose=purpose, session_key=session_key, user_id=user_id)
        owner = WebAuthnCredential.objects.filter(credential_id_sha256=digest).values_list("user_id", flat=True).first()
        user = users_who_get_in().select_for_update(no_key=True).filter(pk=owner).first()
        if user is not None and user_id in (None, user.pk):
            shown = _verified(user, digest, read, named=user_id)
        if owner is not None and shown is None and purpose is Purpose.LOG_IN:
            note_failed_passkey(user_id=owner, browser=browser, address=client)
    if user is None or shown is None:
        count(action="user.log-in-failures", object="passkey")
        raise PasskeyRefused(NOT_ACCEPTED)
    attempt.succeeded()
    return UsedPasskey(user, shown)


def _verified(user: User, digest: str, read: Answer, *, named: int | None) -> Shown | None:
    """With the user's row locked; None where it does not count. Where no user was `named`, the passkey has to say whose
    it is (WebAuthn, 7.2).
    """
    locked = WebAuthnCredential.objects.select_for_update().filter(credential_id_sha256=digest, user=user)
    passkey = locked.first()
    if passkey is None:
        return None
    handle = WebAuthnUserHandle.objects.filter(user=user).values_list("handle_hex", flat=True).first()
    if read.user_handle is None:
        if named is None:
            return None
    elif read.user_handle.hex() != handle:
        return None
    state = {"challenge": bytes_to_base64url(read.challenge), "require_user_verification": True}
    try:
        Ceremonies().authenticate_complete(user=user, state=state, data=dict(read.data))
    except REFUSALS:
        if Ceremonies().is_right_but_for_counter(passkey, read):
            record(actor=acting(), action="user.passkey-counter", object=f"user:{user.pk}")
            tell_passkey_copied(user, passkey.name)
        return None
    return Shown(Factor.PASSKEY, passkey.pk)
