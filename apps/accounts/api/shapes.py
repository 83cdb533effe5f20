"""What users, sessions, keys and accounts look like over the platform API, and what is sent to change them."""

from typing import Final

from rest_framework import serializers

from apps.accounts.facts import Factor
from apps.accounts.models import ApiKey
from apps.accounts.policy import (
    API_KEY_LABEL_LENGTH_MAX,
    API_KEY_LIFETIME_DAYS,
    API_KEY_LIFETIMES_DAYS,
    API_KEY_NETWORKS_MAX,
    PASSWORD_LENGTH_MAX,
    SUB_ACCOUNT_LABEL_LENGTH_MAX,
)
from apps.accounts.publickeys import PEM_LENGTH_MAX
from apps.web.api.fields import Flag, Sent, Text, WholeNumber
from apps.web.api.parameters import whole_number

CODE_LENGTH_MAX = 20
# The longest spelling of a network.
NETWORK_LENGTH_MAX = 45


# Of lists that may be cut to it.
ACCOUNT: Final = whole_number("account", "Number of one of your accounts.")


class Profile(serializers.Serializer):
    id = serializers.IntegerField()
    email = serializers.EmailField()
    created_at = serializers.DateTimeField()
    master_account = serializers.IntegerField()
    second_factors = serializers.ListField(child=serializers.ChoiceField([each.value for each in Factor]))
    withdrawals_held_until = serializers.DateTimeField(allow_null=True)


class Account(serializers.Serializer):
    id = serializers.IntegerField()
    label = serializers.CharField()  # type: ignore[assignment]
    is_master = serializers.BooleanField(source="is_main")
    is_frozen = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class AccountSent(Sent):
    label = Text(max_length=SUB_ACCOUNT_LABEL_LENGTH_MAX)  # type: ignore[assignment]


class Session(serializers.Serializer):
    id = serializers.IntegerField()
    browser = serializers.CharField()
    address = serializers.CharField()
    opened_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(help_text="If it is not used again.")
    is_this = serializers.BooleanField()


class SessionsEnded(serializers.Serializer):
    ended = serializers.IntegerField()


class Key(serializers.Serializer):
    id = serializers.IntegerField()
    account = serializers.IntegerField(source="account_id")
    label = serializers.CharField()  # type: ignore[assignment]
    api_key = serializers.CharField(source="public_key", help_text="Its name: what requests carry in X-API-Key.")
    kind = serializers.ChoiceField(ApiKey.Kind.choices)
    can_read = serializers.BooleanField()
    can_trade = serializers.BooleanField()
    can_withdraw = serializers.BooleanField()
    networks = serializers.ListField(child=serializers.CharField(), source="allowed_networks")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    last_used_address = serializers.CharField()
    revoked_at = serializers.DateTimeField(allow_null=True)


class NewKey(Key):
    secret = serializers.CharField(
        allow_null=True, help_text="Of an HMAC key, and never shown again; null for a public key."
    )


class KeySent(Sent):
    account = WholeNumber()
    label = Text(max_length=API_KEY_LABEL_LENGTH_MAX)  # type: ignore[assignment]
    can_read = Flag()
    can_trade = Flag()
    can_withdraw = Flag(default=False)
    expires_after_days = WholeNumber(
        default=API_KEY_LIFETIME_DAYS,
        allow_null=True,
        help_text=f"One of {', '.join(map(str, API_KEY_LIFETIMES_DAYS))}; null: never, only with networks.",
    )
    networks = serializers.ListField(
        child=Text(max_length=NETWORK_LENGTH_MAX), max_length=API_KEY_NETWORKS_MAX, default=list
    )
    public_key = Text(
        max_length=PEM_LENGTH_MAX,
        required=False,
        help_text="Ed25519 or RSA in PEM; left out, the key is HMAC and the answer has its secret.",
    )
    code = Text(
        max_length=CODE_LENGTH_MAX, required=False, help_text="Of a key that can withdraw: a code not used yet."
    )  # fmt: skip


class KeyNetworksSent(Sent):
    networks = serializers.ListField(
        child=Text(max_length=NETWORK_LENGTH_MAX), min_length=1, max_length=API_KEY_NETWORKS_MAX
    )
    code = Text(
        max_length=CODE_LENGTH_MAX, required=False, help_text="Of a key that can withdraw: a code not used yet."
    )  # fmt: skip


class ConfirmationSent(Sent):
    """One of both: what the user has set up."""

    code = Text(max_length=CODE_LENGTH_MAX, required=False, help_text="Of the authenticator app.")
    password = Text(max_length=PASSWORD_LENGTH_MAX, required=False, help_text="Of a user without a second factor.")


class Confirmation(serializers.Serializer):
    confirmed_until = serializers.DateTimeField()
