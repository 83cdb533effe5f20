"""The state that a market is in now: what market data heard from the engine, or what settlement wrote. Pure.

Either may be behind or stand still, so the record that the later event brought is believed. Gateways and the site's
pages decide by the same rule. Records are the `state` maps of marketdata/wire.py.
"""

from typing import Protocol

from apps.markets.marketdata import wire


class MirroredState(Protocol):
    """A market's row, as far as its state goes: columns of markets_market."""

    @property
    def id(self) -> int: ...
    @property
    def state(self) -> int: ...
    @property
    def state_cause(self) -> int: ...
    @property
    def state_until_ms(self) -> int: ...
    @property
    def state_reopens_ms(self) -> int: ...
    @property
    def state_rule_id(self) -> int: ...
    @property
    def state_seq(self) -> int: ...


def mirrored(row: MirroredState) -> wire.Record:
    return wire.state(
        row.id, seq=row.state_seq, new_state=row.state, cause=row.state_cause, until_ms=row.state_until_ms,
        reopens_ms=row.state_reopens_ms, rule_id=row.state_rule_id,
    )  # fmt: skip


def is_newest(heard: wire.Record | None, row: MirroredState) -> bool:
    """Whether market data has told a state and PostgreSQL has no newer one."""
    # Without `u` it was written before the last upgrade.
    return heard is not None and heard.get("u", 0) >= row.state_seq


def newest(heard: wire.Record | None, row: MirroredState) -> wire.Record:
    """`heard` is what market data told last, None where it told nothing."""
    return heard if heard is not None and is_newest(heard, row) else mirrored(row)
