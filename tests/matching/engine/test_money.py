"""Credit, debit, keyed holds, transfer; the relay's numbering (architecture.md section 6)."""

import pytest

from apps.common.amounts import AMOUNT_MAX
from apps.matching.engine import RelayGap
from apps.streams.codec import decode_events, encode_command
from apps.streams.commands import Capture, Credit, Debit, Hold, Release, SetMarketState, Transfer
from apps.streams.events import InternalReject, MoneyMoved, RelayRefused
from apps.streams.kinds import CommandKind, Counterparty, Reason, Source
from tests.matching.engine.play import ASSETS, MARKET, Table, play

BTC, USDT = ASSETS["BTC"], ASSETS["USDT"]


def test_money_moves_and_the_totals_follow() -> None:
    table = play(
        """
        fund alice 10 USDT            -> moved
        fund bob 1 USDT               -> moved
        withdraw alice 3 USDT         -> moved
        transfer alice 2 USDT bob     -> moved
        balance alice USDT            -> 5 available, 0 held
        balance bob USDT              -> 3 available, 0 held
        withdraw alice 5.00000001 USDT -> refused insufficient_balance
        transfer alice 6 USDT bob     -> refused insufficient_balance
        """
    )
    usdt = next(row for row in table.engine.assets() if row.code == "USDT")
    assert (usdt.external_units, usdt.fee_units) == (8 * 10**8, 0)


def test_the_event_of_a_transfer_carries_both_balances() -> None:
    table = play("fund alice 10 USDT\nfund bob 1 USDT")
    (event,) = table.money(Transfer, "alice", "4", "USDT", to_account_id=table.accounts["bob"], key="sub:1")
    assert isinstance(event, MoneyMoved)
    assert (event.op, event.key, event.amount_units) == (CommandKind.TRANSFER, "sub:1", 4 * 10**8)
    assert (event.available_units, event.to_account_id, event.to_available_units) == (
        6 * 10**8,
        table.accounts["bob"],
        5 * 10**8,
    )


def test_a_hold_is_captured_once_and_the_rest_comes_back() -> None:
    table = play(
        """
        fund alice 10 USDT
        hold wd:1 alice 6 USDT        -> moved
        balance alice USDT            -> 4 available, 6 held
        hold wd:1 alice 1 USDT        -> refused duplicate_hold
        hold wd:2 alice 5 USDT        -> refused insufficient_balance
        capture wd:1 alice 6.00000001 USDT -> refused capture_above_hold
        """
    )
    (event,) = table.money(Capture, "alice", "5.5", "USDT", key="wd:1", counter=Counterparty.EXTERNAL)
    assert (event.amount_units, event.released_units, event.available_units, event.held_units) == (
        550_000_000,
        50_000_000,
        450_000_000,
        0,
    )
    table.play(
        """
        capture wd:1 alice 1 USDT     -> refused unknown_hold
        release wd:1 alice USDT       -> refused unknown_hold
        hold wd:1 alice 1 USDT        -> moved
        release wd:1 alice USDT       -> moved
        balance alice USDT            -> 4.5 available, 0 held
        hold wd:1 alice 4.5 USDT      -> moved
        capture wd:1 alice 4.5 USDT   -> moved
        balance alice USDT            -> 0 available, 0 held
        """
    )


def test_a_capture_to_another_account_stays_inside() -> None:
    table = play("fund alice 10 USDT\nfund bob 1 USDT\nhold st:1 alice 6 USDT")
    bob = table.accounts["bob"]
    (event,) = table.money(Capture, "alice", "5", "USDT", key="st:1", to_account_id=bob)
    assert isinstance(event, MoneyMoved)
    assert (event.to_account_id, event.to_available_units, event.released_units) == (bob, 6 * 10**8, 10**8)
    assert next(row for row in table.engine.assets() if row.asset_id == USDT).external_units == 11 * 10**8
    table.engine.validate()


def test_an_order_cannot_spend_what_a_hold_keeps() -> None:
    play(
        """
        fund alice 5000 USDT
        hold wd:1 alice 1 USDT
        bid b1 alice 50000 0.1        -> rejected insufficient_balance
        release wd:1 alice USDT
        bid b1 alice 50000 0.1        -> rested
        hold wd:1 alice 1 USDT        -> refused insufficient_balance
        withdraw alice 1 USDT         -> refused insufficient_balance
        """
    )


def money_command(kind: type, **changes: object) -> object:
    fields: dict[str, object] = {
        "account_id": 1001,
        "asset_id": USDT,
        "amount_units": 100,
        "counter": Counterparty.EXTERNAL,
        "key": "k",
    }
    return kind(**fields | changes)


REFUSALS = [
    (Credit, {"amount_units": 0}, Reason.MALFORMED),
    (Credit, {"amount_units": -1}, Reason.MALFORMED),
    (Credit, {"account_id": 0}, Reason.MALFORMED),
    (Credit, {"counter": Counterparty.NONE}, Reason.MALFORMED),
    (Credit, {"counter": 99}, Reason.MALFORMED),
    (Credit, {"parts": 2}, Reason.MALFORMED),
    (Credit, {"asset_id": 99}, Reason.UNKNOWN_ASSET),
    (Credit, {"amount_units": AMOUNT_MAX}, Reason.OVERFLOW),
    (Credit, {"amount_units": 2**63 - 1}, Reason.OVERFLOW),
    (Debit, {"amount_units": 0}, Reason.MALFORMED),
    (Debit, {"counter": Counterparty.NONE}, Reason.MALFORMED),
    (Debit, {"asset_id": 99}, Reason.UNKNOWN_ASSET),
    (Debit, {"account_id": 9}, Reason.UNKNOWN_ACCOUNT),
    (Debit, {"amount_units": 10**15}, Reason.INSUFFICIENT_BALANCE),
    (Hold, {"amount_units": 0}, Reason.MALFORMED),
    (Hold, {"key": ""}, Reason.MALFORMED),
    (Hold, {"key": "held"}, Reason.DUPLICATE_HOLD),
    (Hold, {"asset_id": 99}, Reason.UNKNOWN_ASSET),
    (Hold, {"account_id": 9}, Reason.UNKNOWN_ACCOUNT),
    (Hold, {"amount_units": 10**15}, Reason.INSUFFICIENT_BALANCE),
    (Release, {"key": "nothing"}, Reason.UNKNOWN_HOLD),
    (Release, {"key": "held", "account_id": 1002}, Reason.UNKNOWN_HOLD),
    (Release, {"key": "held", "asset_id": BTC}, Reason.UNKNOWN_HOLD),
    (Release, {"key": "held", "account_id": 0}, Reason.MALFORMED),
    (Capture, {"key": "held", "amount_units": 0}, Reason.MALFORMED),
    (Capture, {"key": "held", "counter": Counterparty.NONE}, Reason.MALFORMED),
    (Capture, {"key": "held", "to_account_id": 1001}, Reason.MALFORMED),
    (Capture, {"key": "held", "to_account_id": 9}, Reason.UNKNOWN_ACCOUNT),
    (Capture, {"key": "held", "amount_units": 5 * 10**8 + 1}, Reason.CAPTURE_ABOVE_HOLD),
    (Capture, {"key": "nothing"}, Reason.UNKNOWN_HOLD),
    (Capture, {"key": "held", "account_id": 1002}, Reason.UNKNOWN_HOLD),
    (Transfer, {"amount_units": 0, "to_account_id": 1002}, Reason.MALFORMED),
    (Transfer, {"to_account_id": 1001}, Reason.MALFORMED),
    (Transfer, {"to_account_id": 9}, Reason.UNKNOWN_ACCOUNT),
    (Transfer, {"to_account_id": 0}, Reason.UNKNOWN_ACCOUNT),
    (Transfer, {"asset_id": 99, "to_account_id": 1002}, Reason.UNKNOWN_ASSET),
    (Transfer, {"account_id": 9, "to_account_id": 1002}, Reason.UNKNOWN_ACCOUNT),
    (Transfer, {"amount_units": 10**15, "to_account_id": 1002}, Reason.INSUFFICIENT_BALANCE),
]


@pytest.mark.parametrize(("kind", "changes", "reason"), REFUSALS)
def test_each_refusal_says_why_and_changes_nothing(kind: type, changes: dict[str, object], reason: Reason) -> None:
    table = play("fund alice 100 USDT\nfund bob 1 BTC\nhold held alice 5 USDT")
    before = table.state_but_seq()
    command = money_command(kind, **changes | table.numbered())
    (event,) = table.send(command)  # type: ignore[arg-type]
    assert isinstance(event, RelayRefused)
    assert event.reason == reason
    assert (event.op, event.relay_seq, event.object_id) == (kind.KIND, table.relay_seq, command.asset_id)  # type: ignore[attr-defined]
    assert (event.key, event.amount_units) == (command.key, command.amount_units)  # type: ignore[attr-defined]
    assert table.state_but_seq() == before
    table.engine.validate()


def test_a_key_that_is_no_text_is_refused_without_it() -> None:
    table = play("fund alice 1 USDT")
    frame = bytearray(encode_command(money_command(Credit, **table.numbered())))  # type: ignore[arg-type]
    frame[64] = 0xFF
    before = table.state_but_seq()
    (event,) = table.run(bytes(frame))
    assert (event.reason, event.key) == (Reason.MALFORMED, "")
    assert table.state_but_seq() == before


def test_a_relayed_command_is_applied_once_and_a_repeat_leaves_no_event() -> None:
    table = Table()
    command = money_command(Credit, **table.numbered())
    assert len(table.send(command)) == 1  # type: ignore[arg-type]
    before = table.state_but_seq()
    assert table.send(command) == []  # type: ignore[arg-type]
    assert table.send(money_command(Credit, relay_seq=1, source=Source.OUTBOX, amount_units=7)) == []  # type: ignore[arg-type]
    assert table.state_but_seq() == before


def test_a_refused_command_has_used_its_number() -> None:
    table = Table()
    command = money_command(Debit, **table.numbered())
    assert isinstance(table.send(command)[0], RelayRefused)  # type: ignore[arg-type]
    assert table.send(command) == []  # type: ignore[arg-type]


def test_a_gap_stops_the_shard() -> None:
    table = Table()
    with pytest.raises(RelayGap, match="relay_seq 9 after"):
        table.send(money_command(Credit, relay_seq=9, source=Source.OUTBOX))  # type: ignore[arg-type]
    assert table.engine.applying == (table.now_ms, 0, 0)


def test_direct_commands_are_not_numbered_and_unknown_sources_are_refused() -> None:
    table = Table()
    for _ in range(2):
        (event,) = table.send(SetMarketState(market_id=MARKET, state=4, cause=1, relay_seq=0, source=Source.DIRECT))
        assert (event.relay_seq, event.new_state) == (0, 4)
    (event,) = table.send(money_command(Credit, relay_seq=1, source=7))  # type: ignore[arg-type]
    assert isinstance(event, RelayRefused)
    assert event.reason == Reason.MALFORMED


def test_a_skipped_command_becomes_one_event_and_gives_up_its_number() -> None:
    table = play("fund alice 1 USDT")
    poison = encode_command(money_command(Credit, **table.numbered()))  # type: ignore[arg-type]
    before = table.state_but_seq()
    (event,) = decode_events(table.engine.skip(poison, Reason.INTERNAL))
    assert isinstance(event, InternalReject)
    assert (event.op, event.relay_seq, event.reason) == (CommandKind.CREDIT, table.relay_seq, Reason.INTERNAL)
    assert table.engine.counters().skips == 1
    table.engine._state.skips = 0
    assert table.state_but_seq() == before
    assert len(table.fund("alice", "1", "USDT")) == 1
