"""The engine's side: a replica by replay of the command log, laid against a snapshot of the live engine.

The replica is always the plain engine, the executable specification, whichever one trades.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from apps.common.hashchain import GENESIS
from apps.matching import snapshots
from apps.matching.applying import apply_entries
from apps.matching.core import Position
from apps.matching.engine import RULES_VERSION, Engine
from apps.matching.errors import Halt
from apps.matching.policy import SNAPSHOTS_KEPT
from apps.matching.replay import replay
from apps.matching.shards import engine_of
from apps.matching.skips import Skips
from apps.matching.snapshots import Snapshot
from apps.orders.errors import EngineUnreachable
from apps.orders.policy import POLL_S
from apps.orders.reconciliation.states import (
    AccountFacts,
    BalanceFacts,
    ClassFacts,
    Facts,
    HouseFacts,
    ListFacts,
    OrderFacts,
    RuleFacts,
    ShareFacts,
)
from apps.streams.bus.base import START, Bus, Head
from apps.streams.codec import encode_command
from apps.streams.commands import Tick
from apps.streams.kinds import TickFlag, Waiting


class LogDiffers(Exception):
    """Replaying the log does not give what was published; the message is a difference."""


@dataclass(slots=True)
class Replica:
    """An engine that stands at `position` of the log."""

    engine: Engine
    position: Position

    @classmethod
    def before(cls, bus: Bus, directory: Path) -> "Replica":
        """From the oldest snapshot that stays when the next one is written, or empty while the log is whole.

        The further back, the more of the log is replayed, but only what this release's rules made: after an upgrade
        that is what follows its first snapshot. EngineUnreachable where there is nothing to start from.
        """
        kept = [each for each in snapshots.good(directory) if each.rules_version == RULES_VERSION]
        if len(kept) < SNAPSHOTS_KEPT - 1 and bus.trimmed().cmd == START and _is_own_from_the_start(bus):
            return cls(engine_of(bus.shard)(), Position())
        if not kept:
            raise EngineUnreachable(
                "The log was trimmed, or another release wrote its start, and there is no snapshot of this release"
                f" (rules version {RULES_VERSION}) to replay from. Its matching process writes one when it starts."
            )
        chosen = kept[: SNAPSHOTS_KEPT - 1][-1]
        return cls(Engine.restore(chosen.body), chosen.position)

    def advance(self, bus: Bus, head: Head) -> None:
        """Apply the log up to `head`, comparing what comes out with what was published. LogDiffers if it differs."""
        skips = Skips.parse(bus.read_skips())
        try:
            if head.seq == self.position.seq:
                self._pass_time(bus, head, skips)
            else:
                self.position = replay(bus, self.engine, self.position, head, skips, RULES_VERSION)
        except Halt as halt:
            raise LogDiffers(f"log: {halt}") from halt

    def _pass_time(self, bus: Bus, head: Head, skips: Skips) -> None:
        """Commands that gave no event, as ticks do: the engine's clock moves, nothing else."""
        last = self.position.last_cmd
        while last < head.cmd:
            entries = [entry for entry in bus.read_commands(last, count=500) if entry.id <= head.cmd]
            if not entries:
                break
            if apply_entries(self.engine, entries, skips):
                raise LogDiffers(f"log: commands {last} to {head.cmd} give events that were never published")
            last = entries[-1].id
        self.position = Position(head.seq, head.chain, head.cmd)

    def facts(self) -> Facts:
        """What the engine says after its last event."""
        engine = self.engine
        facts = Facts(engine.seq)
        for row in engine.balances():
            facts.balances[row.account_id, row.asset_id] = BalanceFacts(row.available_units, row.held_units)
        for order in engine.open_orders():
            facts.orders[order.order_id] = OrderFacts(
                order.account_id, order.market_id, order.side, order.price_ticks, order.left_lots, order.filled_lots,
                order.filled_quote_units, order.client_id, order.waiting == Waiting.PARKED,
                order.waiting == Waiting.CONDITIONAL, order.is_pending, order.order_list_id,
            )  # fmt: skip
        for share in engine.shares():
            facts.shares[share.order_id, share.account_id] = ShareFacts(share.final_lots, share.allocated_lots)
        for each in engine.order_lists():
            facts.lists[each.list_id] = ListFacts(
                each.account_id, each.market_id, each.kind, each.client_id, each.order_ids, each.has_entered
            )  # fmt: skip
        for asset in engine.assets():
            if asset.fee_units or asset.external_units:
                facts.house[asset.asset_id] = HouseFacts(asset.fee_units, asset.external_units)
        for asset_id, asset_class in engine.asset_classes():
            facts.classes[asset_id] = ClassFacts(asset_class)
        for account in engine.accounts():
            if account.fee_tier or account.family_id != account.account_id:
                facts.accounts[account.account_id] = AccountFacts(account.family_id, account.fee_tier)
        for rule in engine.allocations():
            facts.rules[rule.account_id, rule.rule_id] = RuleFacts(rule.method, rule.accounts, rule.weights_bp)
        for market in engine.markets():
            if market.last_trade_id:
                facts.last_trade_ids[market.market_id] = market.last_trade_id
        return facts


def _is_own_from_the_start(bus: Bus) -> bool:
    """Whether the first events, if there are any, were made by this release's rules."""
    return all(entry.rules_version == RULES_VERSION for entry in bus.read_events(0, count=1))


def ask_snapshot(bus: Bus, directory: Path, *, timeout_s: float) -> Snapshot:
    """A snapshot of the live engine, taken after this call. EngineUnreachable where none comes in time."""
    asked = bus.append_commands(encode_command(Tick(flags=int(TickFlag.SNAPSHOT))))
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        newer = [path for path in snapshots.kept(directory) if snapshots.position_in_name(path)[1] >= asked]
        if newer:
            return snapshots.load(newer[-1])
        time.sleep(POLL_S)
    holder = bus.lease_holder()
    raise EngineUnreachable(
        f"No snapshot of the engine within {timeout_s:g} s "
        + (f"although {holder} is active." if holder else "because no matching worker is active.")
    )


def head_at(bus: Bus, seq: int) -> Head | None:
    """The end of the event entry that ends at `seq`; None where the log has no entry that does."""
    if not seq:
        return Head(0, GENESIS, START)
    head = bus.head()
    if head.seq == seq:
        return head
    entry = next(iter(bus.read_events(seq - 1, count=1)), None)
    return Head(seq, entry.chain, entry.last_cmd) if entry is not None and entry.last_seq == seq else None
