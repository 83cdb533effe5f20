"""The page of balances and transfers: what it takes, what it says, and that nothing of others is on it."""

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import TotpFactor, TradingAccount
from apps.accounts.services.subaccounts import create_sub_account, freeze_sub_account, rename_sub_account
from apps.audit.models import Record
from apps.ledger.models import Balance
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.services import enqueue
from apps.streams.kinds import Reason
from apps.wallets.models import InternalTransfer
from tests.accounts.people import PASSWORD
from tests.wallets.conftest import House, confirmed

PAGE = "/account/balances"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.wallets.views.ANSWER_WAIT_S", 0)


def fields(house: House, **changes: Any) -> dict[str, str]:
    values = {
        "from_account": house.main.pk, "to_account": house.desk.pk, "asset": 2, "amount": "0.6", "client_id": "one",
    }  # fmt: skip
    return {name: str(value) for name, value in (values | changes).items()}


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def test_a_transfer_that_the_engine_has_not_answered_is_on_its_way(house: House, page: Client) -> None:
    answer = page.post(PAGE, fields(house), follow=True)
    assert answer.status_code == 200
    assert "On its way: 0.60 USDT" in text(answer)
    assert "on its way</span>" in text(answer)
    # Sent twice, it is one.
    page.post(PAGE, fields(house))
    made = InternalTransfer.objects.get()
    assert (made.amount_units, made.owner_id) == (60_000_000, house.user.pk)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (Reason.NONE, "Transferred 0.60 USDT"),
        (Reason.INSUFFICIENT_BALANCE, "The reason: less than that was available. Nothing was moved."),
    ],
)
def test_what_the_engine_said(
    house: House, page: Client, monkeypatch: pytest.MonkeyPatch, reason: Reason, said: str
) -> None:
    def answered(**values: Any) -> OutboxRow:
        row = enqueue(**values)
        state = OutboxState.REFUSED if reason else OutboxState.DONE
        OutboxRow.objects.filter(pk=row.pk).update(state=state, reason=reason, event_seq=1, relay_seq=1)
        return row

    monkeypatch.setattr("apps.wallets.services.outbox.enqueue", answered)
    assert said in text(page.post(PAGE, fields(house), follow=True))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        *[({"amount": amount}, "amount") for amount in (
            "", "0", "0.0", "-1", "+1", "1e3", "1,5", ".5", "5.", "01", "0.000000001", "1" * 19, "9" * 18, "NaN",
            "Infinity", "0x10", "\u0661", "1 000", "1_000", "x" * 38,
        )],
        ({"from_account": ""}, "from_account"), ({"to_account": "x"}, "to_account"), ({"asset": "3"}, "asset"),
        ({"asset": "USDT"}, "asset"), ({"client_id": ""}, "client_id"), ({"client_id": "x" * 37}, "client_id"),
        ({"client_id": "a b"}, "__all__"),
    ],
)  # fmt: skip
def test_bad_input_is_said_at_its_field(house: House, page: Client, changes: dict[str, str], field: str) -> None:
    answer = page.post(PAGE, fields(house, **changes))
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {field}
    assert not InternalTransfer.objects.exists()


def test_so_many_a_minute(house: House, page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.wallets.services.TRANSFERS_PER_WINDOW_MAX", 1)
    assert page.post(PAGE, fields(house)).status_code == 302
    answer = page.post(PAGE, fields(house, client_id="two"))
    assert (answer.status_code, answer["Retry-After"]) == (429, "60")
    assert "Wait a minute." in text(answer)


def test_other_refusals_are_said(house: House, page: Client) -> None:
    for name in ("from_account", "to_account"):
        answer = page.post(PAGE, fields(house, **{name: house.foreign.pk}))
        assert (answer.status_code, answer.context["form"].errors.keys()) == (422, {name})
    assert "two different accounts" in text(page.post(PAGE, fields(house, to_account=house.main.pk)))
    freeze_sub_account(user_id=house.user.pk, account_id=house.desk.pk)
    back = fields(house, from_account=house.desk.pk, to_account=house.main.pk)
    assert "This account is frozen: nothing leaves it." in text(page.post(PAGE, back))
    assert not InternalTransfer.objects.exists()
    page.post(PAGE, fields(house))
    again = page.post(PAGE, fields(house, amount="7"))
    assert again.status_code == 422
    assert "This form was sent already" in text(again)
    made = InternalTransfer.objects.get()
    # One entry of the audit log for the transfer, and none for what was refused.
    recorded = Record.objects.get(action="transfer.requested")
    assert (recorded.actor_id, recorded.object) == (str(house.user.pk), f"transfer:{made.pk}")
    assert json.loads(recorded.after or "") == {
        "from": str(house.main.pk), "to": str(house.desk.pk), "asset": str(made.asset_id),
        "units": str(made.amount_units),
    }  # fmt: skip


def test_the_form_begins_with_the_asset_of_the_transfer_before(house: House, page: Client) -> None:
    for asset in ("2", "1"):
        begun = page.post(PAGE, fields(house, asset=asset, client_id=asset), follow=True)
        assert begun.redirect_chain
        assert begun.context["form"]["asset"].value() == asset
        assert f'<option value="{asset}" selected' in begun.content.decode()
    for unknown in ("3", "x", "1&asset=x", "<b>"):
        assert " selected" not in str(page.get(PAGE, {"asset": unknown}).context["form"]["asset"]), "as at first"


def test_who_did_not_confirm_lately_is_asked_to(house: House, client: Client) -> None:
    client.force_login(house.user)
    shown = text(client.get(PAGE))
    confirm = "/account/confirm-it-is-you?next=/account/balances"
    assert f'href="{confirm}"' in shown
    assert 'name="amount"' not in shown
    answer = client.post(PAGE, fields(house))
    assert (answer.status_code, unquote(answer["Location"])) == (302, confirm)
    assert not InternalTransfer.objects.exists()
    assert client.post("/account/confirm-it-is-you", {"password": PASSWORD, "next": PAGE})["Location"] == PAGE
    form = client.get(PAGE).context["form"]
    typed = {name: text for name, text in fields(house).items() if name != "client_id"}
    assert {name: form[name].value() for name in typed} == typed, "once confirmed, it is there to be sent"
    assert not InternalTransfer.objects.exists()
    client.post(PAGE, fields(house))
    assert InternalTransfer.objects.count() == 1


def test_a_password_is_not_enough_for_who_has_a_second_factor(house: House, page: Client) -> None:
    TotpFactor.objects.create(user=house.user, secret_box=b"x", confirmed_at=timezone.now())
    assert page.post(PAGE, fields(house))["Location"].startswith("/account/confirm-it-is-you")
    assert not InternalTransfer.objects.exists()
    confirmed(page, "authenticator")
    assert page.post(PAGE, fields(house))["Location"] == f"{PAGE}?asset={fields(house)['asset']}"
    assert InternalTransfer.objects.count() == 1


def test_balances_of_all_accounts_and_of_nobody_else(house: House, page: Client) -> None:
    assert "You have no balances yet." in text(page.get(PAGE))
    for account, units in ((house.main, 150_000_000), (house.desk, 250_000_000), (house.foreign, 777_000_000)):
        Balance.objects.create(
            account_id=account.pk, asset_id=2, available_units=units, held_units=0, posted_units=units, seq=1
        )
    shown = text(page.get(PAGE))
    for amount in (">1.50<", ">2.50<", ">4.00<"):
        assert amount in shown
    assert "7.77000000" not in shown
    assert str(house.foreign.pk) not in shown


def test_labels_stay_text(house: House, page: Client) -> None:
    rename_sub_account(user_id=house.user.pk, account_id=house.desk.pk, label="<script>alert(1)</script>")
    page.post(PAGE, fields(house))
    shown = page.get(PAGE).content.decode()
    assert "&lt;script&gt;" in shown
    assert "<script>alert" not in shown


def test_pages_of_the_history(house: House, page: Client) -> None:
    for number in range(26):
        page.post(PAGE, fields(house, client_id=f"n{number}"))
    first = page.get(PAGE)
    before = first.context["history"].before
    assert f'href="?before={before}#history-title"' in first.content.decode()
    assert len(page.get(f"{PAGE}?before={before}").context["history"].transfers) == 1
    assert "No transfers before these." in text(page.get(f"{PAGE}?before=1"))
    for wrong in ("x", "-1", "1.5", "9" * 19, "\u0661"):
        assert page.get(PAGE, {"before": wrong}).status_code == 400


def test_without_a_sub_account_it_leads_to_one(house: House, client: Client) -> None:
    client.force_login(house.foreign.owner)
    shown = text(client.get(PAGE))
    assert "/account/sub-accounts" in shown
    assert "<form" not in shown.split("Transfer between your accounts")[1]
    assert PAGE in text(client.get("/account/"))


def test_as_many_questions_however_much_there_is(house: House, page: Client) -> None:
    def fill(account: TradingAccount) -> None:
        for asset_id in (1, 2):
            Balance.objects.create(
                account_id=account.pk, asset_id=asset_id, available_units=1, held_units=0, posted_units=1, seq=1
            )
        page.post(PAGE, fields(house, to_account=account.pk, client_id=f"to-{account.pk}"))

    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            page.get(PAGE)
        return len(asked)

    fill(house.desk)
    page.get(PAGE)  # shows what the transfer left to be said
    few = questions()
    for number in range(3):
        fill(create_sub_account(user_id=house.user.pk, label=f"Desk {number}"))
    page.get(PAGE)
    assert questions() == few
