"""What balances and transfers look like over the platform API, and what asks for a transfer."""

from rest_framework import serializers

from apps.outbox.models import OutboxState
from apps.wallets.policy import CLIENT_ID_LENGTH_MAX
from apps.web.api.fields import Amount, AmountText, Sent, Text, WholeNumber

ASSET_CODE_LENGTH_MAX = 20


class Part(serializers.Serializer):
    account = serializers.IntegerField(source="account.pk")
    available = AmountText()
    held = AmountText()


class BalanceOf(serializers.Serializer):
    asset = serializers.CharField(source="asset.code")
    available = AmountText()
    held = AmountText(help_text="In open orders.")
    total = AmountText()
    accounts = Part(source="holdings", many=True)


class Transfer(serializers.Serializer):
    id = serializers.IntegerField()
    client_id = serializers.CharField()
    from_account = serializers.IntegerField(source="from_account_id")
    to_account = serializers.IntegerField(source="to_account_id")
    asset = serializers.CharField()
    amount = Amount(source="amount_units")
    requested_at = serializers.DateTimeField()
    state = serializers.ChoiceField(OutboxState.choices, help_text="What the engine said; waiting: nothing yet.")
    reason = serializers.CharField(help_text="Why it was refused; empty otherwise.")


class TransferSent(Sent):
    client_id = Text(
        max_length=CLIENT_ID_LENGTH_MAX,
        help_text="Yours, such as a UUID. The same once more, with the same content, is answered with the first one.",
    )
    from_account = WholeNumber()
    to_account = WholeNumber()
    asset = Text(max_length=ASSET_CODE_LENGTH_MAX, help_text="Its code, such as BTC.")
    amount = Amount()
