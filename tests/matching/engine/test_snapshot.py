"""Snapshot bodies: canonical, described by one table, refused when they are anything else; those of older rules."""

import json
import struct
from hashlib import blake2b
from pathlib import Path

import pytest

from apps.matching.engine import RULES_VERSION, Engine, SnapshotError, UnreadableVersion
from apps.matching.engine.snapshot_tables import MAGIC, OLDEST_READABLE, TABLES, read_tables
from apps.streams.kinds import Reason
from tests.matching.engine.examples import EVERY_TABLE
from tests.matching.engine.play import Table, play
from tests.matching.engine.random_commands import Commands


def test_an_empty_engine_has_a_snapshot_too() -> None:
    engine = Engine()
    assert Engine.restore(engine.snapshot()).state_hash() == engine.state_hash()
    assert len(engine.state_hash()) == 64


def test_the_same_state_by_another_way_has_the_same_body() -> None:
    """Rows that came and went leave nothing behind: balances without units, empty levels, seats."""
    plain = play("fund alice 10 USDT\nfund bob 5 BTC")
    detour = play(
        """
        fund alice 10 USDT
        fund bob 5 BTC
        bid b1 alice 1 1
        ask a1 bob 90000 1
        cancel b1
        cancel a1
        """
    )
    for table in (plain, detour):
        table.engine._state.journal.seq = table.engine._state.journal.now_ms = 0
        table.engine._state.last_order_id = 0
        table.engine._state.client_ids.ring.clear()
        table.engine._state.client_ids.owners.clear()
    assert plain.engine.snapshot() == detour.engine.snapshot()


def test_a_restored_engine_has_the_same_views_and_goes_on_alike() -> None:
    table = play(EVERY_TABLE)
    engine = table.engine
    copy = Engine.restore(engine.snapshot())
    copy.validate()
    for view in ("balances", "open_orders", "holds", "assets", "markets"):
        assert list(getattr(copy, view)()) == list(getattr(engine, view)())
    assert copy.counters() == engine.counters()
    assert copy.seq == engine.seq
    later = "wait 31\nsell q1 carol market 0.1\nbid q2 alice 51500 0.1"
    table.play(later)
    restored = play(EVERY_TABLE)
    restored.engine = copy
    restored.play(later)
    assert copy.snapshot() == table.engine.snapshot()


def test_the_layout_is_one_table_of_unique_columns() -> None:
    assert [table.name for table in TABLES] == [
        "head", "relays", "assets", "markets", "fees", "accounts", "balances", "holds", "orders", "closed_ids",
        "skips", "expiries", "icebergs", "prevented", "amended", "cancel_timers", "parked", "entry_rules",
        "allocations", "allocated_accounts", "blocks", "shares", "conditional_rules", "triggers", "waiting",
        "halt_rules", "breakers", "breaker_befores", "breaker_buckets", "breaker_halts", "market_timers",
        "order_lists", "list_rules",
        "auction_rules", "halt_distances", "asset_classes", "auctions", "amend_rules", "amends",
    ]  # fmt: skip
    for table in TABLES:
        names = [name for name, _ in table.columns]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: b"",
        lambda body: b"x" + body[1:],
        lambda body: body[:-1],
        lambda body: body + b"\0",
        lambda body: body[: len(MAGIC)],
        lambda body: body[: len(MAGIC) + 2],
        lambda body: MAGIC + (0).to_bytes(4, "little") + body[len(MAGIC) + 4 :],
        lambda body: MAGIC + (2**32 - 1).to_bytes(4, "little") + body[len(MAGIC) + 4 :],
    ],
)
def test_anything_else_is_refused(spoil: object) -> None:
    body = play(EVERY_TABLE).engine.snapshot()
    with pytest.raises(SnapshotError):
        Engine.restore(spoil(body))  # type: ignore[operator]


def test_a_body_cut_anywhere_is_refused() -> None:
    commands, engine = Commands(3), Engine(50)
    for _ in range(200):
        engine.process(commands.next())
    body = engine.snapshot()
    for length in range(0, len(body), 97):
        with pytest.raises(SnapshotError):
            Engine.restore(body[:length])


def test_state_hash_is_that_of_the_body_and_changes_with_it() -> None:
    table = Table()
    before = table.engine.state_hash()
    assert table.engine.state_hash() == before
    table.fund("alice", "1", "USDT")
    assert table.engine.state_hash() != before


def test_the_script_leaves_rows_in_every_table() -> None:
    rows = read_tables(play(EVERY_TABLE).engine.snapshot(), RULES_VERSION)
    assert [name for name, found in rows.items() if not found] == []


# -- rules versions ---------------------------------------------------------------------------------------------------
GOLDEN = Path(__file__).parent / "golden"
FROZEN = sorted(int(path.stem.removeprefix("rules_v")) for path in GOLDEN.glob("rules_v*.body"))


def of_version(body: bytes, version: int) -> bytes:
    return body[: len(MAGIC) + 4] + version.to_bytes(4, "little") + body[len(MAGIC) + 8 :]


def test_every_older_version_is_frozen() -> None:
    assert FROZEN[:RULES_VERSION] in ([*range(1, RULES_VERSION)], [*range(1, RULES_VERSION + 1)])


@pytest.mark.parametrize("version", [version for version in FROZEN if version >= OLDEST_READABLE])
def test_a_body_that_a_release_wrote_gives_the_same_books_and_balances(version: int) -> None:
    """The fixture was written by the code of that version (freeze.py), together with what its own views said."""
    body = (GOLDEN / f"rules_v{version}.body").read_bytes()
    told = json.loads((GOLDEN / f"rules_v{version}.json").read_text(encoding="ascii"))
    assert blake2b(body, digest_size=32).hexdigest() == told["state_hash"]
    engine = Engine.restore(body)
    engine.validate()
    for view in ("balances", "open_orders", "holds", "assets", "markets"):
        rows = [list(row)[: len(told[view][0])] for row in getattr(engine, view)()]
        assert rows == told[view], view
    assert {name: engine.depth(*map(int, name.split(":")), 1_000) for name in told["depth"]} == {
        name: [tuple(level) for level in levels] for name, levels in told["depth"].items()
    }
    assert list(engine.counters())[: len(told["counters"])] == told["counters"]
    # What that version did not know is empty, and from here on the state is one of this version.
    newer = [table.name for table in TABLES if table.since > version]
    if version < 3:
        assert [row.skips for row in engine.markets()] == ([0, 0] if "skips" in newer else [1, 3])
        assert all(order.shown_lots == order.left_lots and not order.expires_ms for order in engine.open_orders())
    own = engine.snapshot()
    assert own == of_version(body, RULES_VERSION) + bytes(4) * len(newer)
    assert Engine.restore(own).state_hash() == engine.state_hash()


@pytest.mark.parametrize("version", [1, 2])
def test_a_restored_older_body_trades_on_like_the_same_state_of_this_version(version: int) -> None:
    """Version 2 skipped every 50th command of the same history."""
    body = (GOLDEN / f"rules_v{version}.body").read_bytes()
    commands = Commands(41)
    through, restored = Engine(40), Engine.restore(body)
    for number in range(700):
        if version >= 2 and number % 50 == 49:
            through.skip(commands.next(), Reason.INTERNAL)
        else:
            through.process(commands.next())
    for _ in range(300):
        frames = commands.next()
        assert restored.process(frames) == through.process(frames)
    assert restored.state_hash() == through.state_hash()


@pytest.mark.parametrize("version", [0, RULES_VERSION + 1, 2**32 - 1])
def test_a_body_of_a_version_that_cannot_be_read_is_refused_by_both_names(version: int) -> None:
    body = of_version(play(EVERY_TABLE).engine.snapshot(), version)
    with pytest.raises(
        UnreadableVersion, match=f"version {version}, this engine has {RULES_VERSION} and reads"
    ) as error:
        Engine.restore(body)
    assert (error.value.found, error.value.own, error.value.oldest_readable) == (
        version, RULES_VERSION, OLDEST_READABLE,
    )  # fmt: skip


def test_amendments_under_older_rules_do_not_count() -> None:
    table = play("bid b1 alice 50000 0.5\namend b1 0.4")
    body = table.engine.snapshot()
    newer = 2 * 4 + TABLES[-1].row.size  # two counts, and the row of version 6
    table.engine = Engine.restore(of_version(body[:-newer], 5))
    table.play(
        """
        set   max_order_amends 1
        amend b1 0.3                  -> amended b1 0.3
        amend b1 0.2                  -> amend rejected max_num_order_amends
        """
    )


def test_an_older_version_has_no_newer_table() -> None:
    """A body of version 1 with the table of version 2 behind it is not one that any release wrote."""
    body = (GOLDEN / "rules_v1.body").read_bytes()
    with pytest.raises(SnapshotError, match="4 bytes follow"):
        Engine.restore(body + bytes(4))


def test_counts_of_skips_for_an_unknown_market_are_refused() -> None:
    body = bytearray(Engine().snapshot())
    behind = 4 * (len(TABLES) - [table.name for table in TABLES].index("skips"))  # empty tables, a count each
    body[-behind : len(body) - behind + 4] = struct.pack("<III", 1, 9, 1)
    with pytest.raises(SnapshotError, match="does not fit"):
        Engine.restore(bytes(body))
