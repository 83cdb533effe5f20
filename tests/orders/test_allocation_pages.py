"""The pages of a user's allocation rules: the preview is the engine's arithmetic, the engine is asked, all is said."""

import random
import re
from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.accounts.models import AllocationChange, AllocationRule, User
from apps.accounts.selectors import main_account
from apps.accounts.services.allocations import set_allocation_rule
from apps.accounts.services.mirror import mirror_allocation
from apps.accounts.services.subaccounts import create_sub_account
from apps.audit.models import Record
from apps.common.amounts import format_units, parse_decimal
from apps.markets.models import Market
from apps.markets.services import create_asset, create_market
from apps.matching.engine.allocation import Block, Share
from apps.matching.engine.allocation_rules import AllocationRule as EngineRule
from apps.orders.allocationpreview import preview
from apps.outbox.models import OutboxRow, OutboxState
from apps.streams.kinds import AllocationMethod, Reason
from apps.streams.messages import AllocationSettings
from tests.accounts.people import PASSWORD
from tests.markets.conftest import TERMS

PAGE = "/account/allocation-rules"
FIXED, EQUAL, PRO_RATA = (int(method) for method in AllocationMethod)


@pytest.fixture
def alice(db: None, monkeypatch: pytest.MonkeyPatch) -> User:
    monkeypatch.setattr("apps.orders.allocationviews.ANSWER_WAIT_S", 0)
    user = User.objects.create_user("alice@example.org", PASSWORD)
    for name in ("One", "Two", "Three"):
        create_sub_account(user_id=user.pk, label=name)
    create_asset(code="BTC", name="Bitcoin")
    create_asset(code="USDT", name="Tether")
    create_market(base="BTC", quote="USDT", terms=TERMS, reason="listing", requested_by="test")
    return user


@pytest.fixture
def page(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def subs(alice: User) -> list[int]:
    return list(alice.trading_accounts.filter(is_main=False).order_by("pk").values_list("pk", flat=True))


def in_force(user: User, rule_id: int, method: int, accounts: Sequence[int], weights_bp: Sequence[int] = ()) -> None:
    """As settlement writes it once the engine has taken the rule."""
    settings = AllocationSettings(
        account_id=main_account(user_id=user.pk).pk, rule_id=rule_id, method=method, accounts=list(accounts),
        weights_bp=list(weights_bp),
    )  # fmt: skip
    with connection.cursor() as cursor:
        mirror_allocation(cursor, shard="spot", settings=settings, seq=1)


def fields(method: int, lines: Sequence[str], action: str = "save", **changes: str) -> dict[str, str]:
    market = str(Market.objects.get().pk)
    return {
        "method": str(method), "shares": "\n".join(lines), "market": market, "quantity": "1", "filled": "0.5",
        action: "1",
    } | changes  # fmt: skip


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def asked() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (AllocationChange, OutboxRow)]


def previewed(answer: Any) -> list[tuple[int, str, str]]:
    assert answer.status_code == 200, answer.context["form"].errors
    return [tuple(part) for part in answer.context["parts"]]


def test_the_preview_of_each_method_and_nothing_is_asked(page: Client, subs: list[int]) -> None:
    lot = format_units(Market.objects.get().lot_size)
    before = asked()
    shares = [f"{subs[0]} 33.34", f"{subs[1]} 33.33", f"{subs[2]} 33.33"]
    assert previewed(page.post(PAGE, fields(FIXED, shares, "preview"))) == [
        (subs[0], "0.33340000", "0.16670000"), (subs[1], "0.33330000", "0.16665000"),
        (subs[2], "0.33330000", "0.16665000"),
    ]  # fmt: skip
    # A lot that cannot be divided goes to whom the rule names first.
    one_lot = fields(EQUAL, [str(subs[2]), str(subs[0])], "preview", quantity=lot, filled=lot)
    assert previewed(page.post(PAGE, one_lot)) == [
        (subs[2], lot, lot), (subs[0], "0.00000000", "0.00000000"),
    ]  # fmt: skip
    weighted = fields(PRO_RATA, [f"{subs[0]} 3", f"{subs[1]} 1"], "preview", filled="0")
    assert previewed(page.post(PAGE, weighted)) == [
        (subs[0], "0.75000000", "0.00000000"), (subs[1], "0.25000000", "0.00000000"),
    ]  # fmt: skip
    assert asked() == before


def test_the_trading_page_gets_the_preview_of_a_rule_that_stands(alice: User, page: Client, subs: list[int]) -> None:
    in_force(alice, 1, EQUAL, [subs[1], subs[0]])
    in_force(alice, 2, PRO_RATA, subs[:2])
    order = {"symbol": "BTCUSDT", "quantity": "0.3", "filled": "0.1"}
    assert page.get(f"{PAGE}/1/preview", order).json() == {
        "parts": [
            {"account": subs[1], "share": "0.15000000", "filled": "0.05000000"},
            {"account": subs[0], "share": "0.15000000", "filled": "0.05000000"},
        ]
    }
    asked = page.get(f"{PAGE}/2/preview", {**order, "asked": ["2", "1"]}).json()["parts"]
    assert [(part["share"], part["filled"]) for part in asked] == [
        ("0.20000000", "0.06667000"), ("0.10000000", "0.03333000"),
    ]  # fmt: skip
    wrong = "invalid_example"
    for rule_id, changes, code, text in (
        (1, {"symbol": "NOSUCH"}, wrong, "'symbol'"), (1, {"quantity": "1e3"}, wrong, "'quantity'"),
        (1, {"quantity": "0", "filled": "0"}, wrong, "above 0"), (1, {"filled": "0.4"}, wrong, "no more than"),
        (1, {"asked": ["1", "2"]}, wrong, "'asked'"), (1, {"quantity": "9" * 40}, wrong, "'quantity'"),
        (1, {"filled": ""}, wrong, "'filled'"), (1, {"quantity": "0.000000001"}, wrong, "'quantity'"),
        (1, {"quantity": "0.30000001"}, "not_whole_lots", "multiples of"),
        (2, {}, "requests_missing", "how much"), (2, {"asked": ["1"]}, "requests_missing", "how much"),
        (2, {"asked": ["0", "0"]}, "requests_missing", "how much"), (2, {"asked": ["1", "x"]}, wrong, "'asked'"),
    ):  # fmt: skip
        answer = page.get(f"{PAGE}/{rule_id}/preview", {**order, **changes})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), changes
        assert text in answer.json()["error"]["message"], changes
    assert page.get(f"{PAGE}/3/preview", order).status_code == 404
    other = Client()
    other.force_login(User.objects.create_user("bob@example.org", PASSWORD))
    assert other.get(f"{PAGE}/1/preview", order).status_code == 404


@pytest.mark.django_db
def test_the_preview_is_what_the_engine_allocates(alice: User) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance, market = random.Random(seed), Market.objects.get()
    for _ in range(100):
        count = chance.randint(1, 12)
        accounts = list(range(1, count + 1))
        requested = [chance.randint(0, 50) for _ in accounts]
        requested[0] += 1
        quantity = chance.randint(1, 10_000)
        filled = chance.randint(0, quantity)
        parts = preview(
            market=market, method=PRO_RATA, accounts=accounts, weights_bp=[],
            requested_units=[lots * market.lot_size for lots in requested],
            quantity_units=quantity * market.lot_size, filled_units=filled * market.lot_size,
        )  # fmt: skip
        final = EngineRule(PRO_RATA, accounts, []).final_lots(quantity, requested)
        assert not isinstance(final, Reason)
        block, seats = Block(1, 0), [object() for _ in accounts]
        block.shares = [Share(seat, lots) for seat, lots in zip(seats, final, strict=True) if lots]  # type: ignore[arg-type]
        got = {id(portion.share.seat): portion.lots for portion in (block.allocate(filled) if filled else [])}
        assert [parse_decimal(part.share) // market.lot_size for part in parts] == final
        assert [parse_decimal(part.filled) // market.lot_size for part in parts] == [
            got.get(id(seat), 0) for seat in seats
        ]
        assert sum(parse_decimal(part.filled) for part in parts) == filled * market.lot_size


def test_a_new_rule_is_asked_of_the_engine(alice: User, page: Client, subs: list[int]) -> None:
    answer = page.post(PAGE, fields(FIXED, [f"{subs[1]} 60.5", f"{subs[0]} 39.5"]), follow=True)
    assert answer.redirect_chain == [(f"{PAGE}/1", 302)]
    assert "on its way to the engine" in text(answer)
    made = AllocationChange.objects.get()
    assert (made.account_id, made.rule_id, made.method, made.accounts, made.weights_bp) == (
        main_account(user_id=alice.pk).pk, 1, FIXED, [subs[1], subs[0]], [6_050, 3_950],
    )  # fmt: skip
    told = Record.objects.get(action="account.allocation")
    assert (told.actor_kind, told.actor_id) == ("user", str(alice.pk))
    again = page.post(f"{PAGE}/1", fields(EQUAL, [str(subs[0])]))
    assert again.status_code == 422
    assert "still waits for the engine" in text(again)


@pytest.mark.parametrize(
    ("reason", "said"),
    [(Reason.NONE, "Rule 1 is set."), (Reason.ALLOCATION_FAMILY, "only accounts of its owner&#x27;s family")],
)
def test_what_the_engine_said(
    page: Client, subs: list[int], monkeypatch: pytest.MonkeyPatch, reason: Reason, said: str
) -> None:
    def answered(row: OutboxRow, timeout: float) -> OutboxRow:
        state = OutboxState.REFUSED if reason else OutboxState.DONE
        OutboxRow.objects.filter(pk=row.pk).update(state=state, reason=reason, event_seq=1, relay_seq=1)
        return OutboxRow.objects.get(pk=row.pk)

    monkeypatch.setattr("apps.orders.allocationviews.wait_done", answered)
    assert said in text(page.post(PAGE, fields(EQUAL, [str(subs[0])]), follow=True))


@pytest.mark.parametrize(
    ("method", "lines", "message"),
    [
        (FIXED, ["{0} 50", "{1} 49.99"], "add up to 100 %, not 99.99 %"),
        (FIXED, ["{0} 33.333", "{1} 66.667"], "at most 2 decimals"), (FIXED, ["{0} 100", "{1} 0"], "above 0 %"),
        (FIXED, ["{0} -1", "{1} 101"], "at most 2 decimals"), (FIXED, ["{0}", "{1}"], "at most 2 decimals"),
        (FIXED, ["{0} 100", "{1}"], "Either every line"), (FIXED, ["{0} 50 50"], "Either every line"),
        (EQUAL, ["{0} 50"], "no number behind"), (EQUAL, ["{0}", "{0}"], "stands in a rule once"),
        (EQUAL, ["{foreign}"], "is not one of your accounts"), (EQUAL, ["x"], "is not one of your accounts"),
        (EQUAL, ["\u0661"], "is not one of your accounts"), (EQUAL, ["0{0}"], "is not one of your accounts"),
        (EQUAL, [], "This field is required"), (EQUAL, ["1"] * 65, "at most 64 accounts"),
        (EQUAL, ["<script>"], "&lt;script&gt;"), (PRO_RATA, ["{0} x"], "at most 8 decimals"),
    ],
)  # fmt: skip
def test_bad_content_is_said_and_asks_nothing(
    page: Client, subs: list[int], method: int, lines: list[str], message: str
) -> None:
    foreign = User.objects.create_user("bob@example.org", PASSWORD).trading_accounts.get().pk
    before = asked()
    sent = [line.format(*subs, foreign=foreign) for line in lines]
    for action in ("save", "preview"):
        answer = page.post(PAGE, fields(method, sent, action))
        assert answer.status_code == 422
        assert answer.context["form"].errors.keys() == {"shares"}
        assert message in text(answer).replace("&#x27;", "'")
    assert asked() == before


@pytest.mark.parametrize(
    ("method", "line", "changes", "field", "message"),
    [
        (EQUAL, "{0}", {"quantity": "0"}, "quantity", "above 0"),
        (EQUAL, "{0}", {"quantity": "1e3"}, "quantity", "digits"),
        (EQUAL, "{0}", {"quantity": ""}, "quantity", "digits"), (EQUAL, "{0}", {"filled": "-1"}, "filled", "digits"),
        (EQUAL, "{0}", {"filled": "2"}, "filled", "No more than the whole order"),
        (EQUAL, "{0}", {"market": ""}, "market", "Choose a market"),
        (EQUAL, "{0}", {"quantity": "1.00000001"}, "__all__", "multiples of"),
        (PRO_RATA, "{0}", {}, "__all__", "how much it asks for"), (PRO_RATA, "{0} 0", {}, "__all__", "more than 0"),
        (9, "{0}", {}, "method", "valid choice"),
    ],
)  # fmt: skip
def test_a_bad_example_is_said(
    page: Client, subs: list[int], method: int, line: str, changes: dict[str, str], field: str, message: str
) -> None:
    answer = page.post(PAGE, fields(method, [line.format(*subs)], "preview", **changes))
    assert answer.status_code == 422
    assert answer.context["form"].errors.keys() == {field}
    assert message in text(answer)


def test_a_rule_with_its_versions(alice: User, page: Client, subs: list[int]) -> None:
    in_force(alice, 7, FIXED, subs[:2], [2_500, 7_500])
    staff = set_allocation_rule(
        account_id=main_account(user_id=alice.pk).pk, rule_id=7, method=EQUAL, accounts=subs, weights_bp=[],
        reason="a mandate", requested_by="staff: ann@example.org",
    )  # fmt: skip
    OutboxRow.objects.filter(key=staff.outbox_key).update(state="done", event_seq=1, relay_seq=1)
    shown = text(page.get(f"{PAGE}/7"))
    assert f"{subs[0]} 25.00 {subs[1]} 75.00" in shown
    page.post(f"{PAGE}/7", fields(EQUAL, [str(subs[2])]))
    versions = page.get(f"{PAGE}/7").context["versions"]
    assert [(version.by, version.among, version.answer) for version in versions] == [
        ("you", str(subs[2]), "waiting"), ("staff", ", ".join(map(str, subs)), "done"),
    ]  # fmt: skip
    assert "ann@example.org" not in text(page.get(f"{PAGE}/7"))
    assert f"{subs[0]} 25.00, {subs[1]} 75.00" in text(page.get(PAGE))


def test_removing_asks_the_engine(alice: User, page: Client, subs: list[int]) -> None:
    in_force(alice, 7, EQUAL, subs)
    assert page.post(f"{PAGE}/7/remove")["Location"] == PAGE
    assert (AllocationChange.objects.get().rule_id, AllocationChange.objects.get().accounts) == (7, [])
    again = page.post(f"{PAGE}/7/remove", follow=True)
    assert "still waits for the engine" in text(again)
    assert AllocationChange.objects.count() == 1
    AllocationRule.objects.all().delete()
    assert "not in force" in text(page.get(f"{PAGE}/7"))
    assert page.post(f"{PAGE}/7/remove").status_code == 404


def test_rules_of_others_are_not_found(alice: User, subs: list[int]) -> None:
    in_force(alice, 7, EQUAL, subs)
    bob = Client()
    bob.force_login(User.objects.create_user("bob@example.org", PASSWORD))
    before = asked()
    for rule_id in (7, 8, 10**30):
        assert bob.get(f"{PAGE}/{rule_id}").status_code == 404
        assert bob.post(f"{PAGE}/{rule_id}", fields(EQUAL, [str(subs[0])])).status_code == 404
        assert bob.post(f"{PAGE}/{rule_id}/remove").status_code == 404
    assert str(subs[0]) not in text(bob.get(PAGE))
    assert asked() == before
