"""SET_CLASS_STATE: staff moves every market of an asset class at once (T10, E4).

A market belongs to the classes of its base and its quote asset. Each is moved as by SET_MARKET_STATE, by ascending id.
Markets that have not been launched or are closed stay as they are, and so do those that could not be moved alone: the
others must not wait for them.
"""

from typing import Final

from apps.matching.engine.framing import fields_of, is_text
from apps.matching.engine.state import State
from apps.matching.engine.states import CAUSES_OF_COMMANDS, STAFF_MAY_SET, WORKERS_STOPS, move_by_command, move_fault
from apps.streams.kinds import CommandKind, MarketState, Reason

_unpack = fields_of(CommandKind.SET_CLASS_STATE).unpack_from
_STAY: Final = frozenset({int(MarketState.PRE_LAUNCH), int(MarketState.CLOSED)})
_CAUSES: Final = CAUSES_OF_COMMANDS - frozenset(WORKERS_STOPS)


def set_class_state(state: State, frames: bytes, offset: int) -> Reason | None:
    """One SETTINGS_APPLIED, then an event for each market that moved."""
    parts, flags, market_id, _, relay_seq, source, asset_class, new_state, cause = _unpack(frames, offset)
    name = asset_class.rstrip(b"\0")
    if parts != 1 or flags or market_id or not is_text(asset_class) or not name:
        return Reason.MALFORMED
    if new_state not in set(MarketState) or cause not in _CAUSES:
        return Reason.MALFORMED
    if new_state not in STAFF_MAY_SET:
        return Reason.INVALID_STATE
    if all(asset.asset_class != name for asset in state.assets.values()):
        return Reason.UNKNOWN_CLASS
    state.journal.settings_applied(CommandKind.SET_CLASS_STATE, relay_seq, source, 0)
    for _, market in sorted(state.markets.items()):
        belongs = name in (market.base_asset.asset_class, market.quote_asset.asset_class)
        if belongs and market.state not in _STAY and move_fault(market, new_state, cause) is None:
            move_by_command(state, market, new_state, cause)
    return None
