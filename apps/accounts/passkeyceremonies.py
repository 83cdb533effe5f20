"""The two ceremonies of WebAuthn, as django-otp-webauthn does them, with what it leaves open closed (A2, threat-T3).

User verification (PIN, finger, face) is required when a passkey is made and when it is used: so one passkey is two
factors. No attestation is asked for, and none is kept.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django_otp_webauthn.exceptions import OTPWebAuthnApiError
from django_otp_webauthn.helpers import WebAuthnHelper
from django_otp_webauthn.models import WebAuthnCredential
from webauthn import verify_authentication_response
from webauthn.helpers import base64url_to_bytes, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import AuthenticatorSelectionCriteria, ResidentKeyRequirement, UserVerificationRequirement

from apps.accounts.errors import PasskeyRefused
from apps.accounts.models import User
from apps.accounts.policy import PASSKEY_ANSWER_LENGTH_MAX

UNREADABLE: Final = "Your browser sent no answer of a passkey that we can read. Try again."
# What the two libraries raise for bytes of strangers; besides their own exceptions they let Python's through.
REFUSALS: Final = (
    WebAuthnException, OTPWebAuthnApiError, ValueError, TypeError, LookupError, AttributeError, RecursionError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What an authenticator answered: nothing of it is verified yet."""

    data: Mapping[str, Any]
    challenge: bytes
    credential_id: bytes
    user_handle: bytes | None


class Ceremonies(WebAuthnHelper):  # type: ignore[misc]  # the package has no types
    """`register_begin`, `register_complete`, `authenticate_begin` and `authenticate_complete`."""

    def __init__(self) -> None:
        # It would only be handed to callables of settings, of which we have none.
        super().__init__(request=HttpRequest())

    def get_generate_registration_options_kwargs(self, *, user: User) -> dict[str, Any]:
        options: dict[str, Any] = super().get_generate_registration_options_kwargs(user=user)
        return options | {
            "authenticator_selection": AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.PREFERRED, user_verification=UserVerificationRequirement.REQUIRED
            )
        }

    def create_attestation(self, credential: WebAuthnCredential, attestation_object: bytes, client_data: bytes) -> None:
        """None is asked for, so there is nothing in it that anybody could go by."""

    def is_right_but_for_counter(self, passkey: WebAuthnCredential, answer: Answer) -> bool:
        """Whether the private key made this answer, to what was asked, though authenticate_complete refused it: then
        its counter alone did not go forward (WebAuthn level 3, section 6.1.1). By the signature, for anybody who knows
        a passkey's id can send any counter."""
        try:
            verify_authentication_response(
                credential=dict(answer.data),
                expected_challenge=answer.challenge,
                expected_rp_id=self.get_relying_party_domain(),
                expected_origin=self.get_allowed_origins(),
                credential_public_key=passkey.public_key,
                credential_current_sign_count=0,
                require_user_verification=True,
            )
        except REFUSALS:
            return False
        return True


def read_answer(text: str) -> Answer:
    """The JSON of a browser's PublicKeyCredential, of either ceremony. Raises PasskeyRefused."""
    if len(text) > PASSKEY_ANSWER_LENGTH_MAX:
        raise PasskeyRefused(UNREADABLE)
    try:
        data = json.loads(text)
        response = data["response"]
        handle = response.get("userHandle")
        return Answer(
            data=data,
            challenge=parse_client_data_json(base64url_to_bytes(response["clientDataJSON"])).challenge,
            credential_id=base64url_to_bytes(data["rawId"]),
            user_handle=base64url_to_bytes(handle) if handle else None,
        )
    except REFUSALS as error:
        raise PasskeyRefused(UNREADABLE) from error
