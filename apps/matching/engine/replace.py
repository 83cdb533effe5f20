"""Cancel-replace: cancel one order and place another, in one command (T4, matching-rules.md 10).

The new order's client id (a repeat cancels nothing) and its checks up to the price band come first; where they fail,
nothing has happened. Then the cancel: where there is nothing to cancel, or its restriction forbids it, STOP_ON_FAILURE
ends it and ALLOW_FAILURE goes on. Then the new order's limits and funds, with what was freed, and its sweep.

What happened is told by the events of the two halves: none, ORDER_CLOSED or CANCEL_REJECTED of the cancel, then none,
ORDER_ACCEPTED or ORDER_REJECTED of the new order.
"""

from typing import Final

from apps.matching.engine.book import Order
from apps.matching.engine.cancel import RESTRICTIONS, replace_named
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.framing import fields_of, is_order_of, is_text
from apps.matching.engine.placing import place_order
from apps.matching.engine.state import State
from apps.matching.engine.strategy import order_offsets
from apps.streams.kinds import CommandKind, Reason, ReplaceMode

_unpack = fields_of(CommandKind.REPLACE_ORDER).unpack_from
_MODES: Final = frozenset(int(mode) for mode in ReplaceMode)


def replace_order(state: State, frames: bytes, offset: int) -> None:
    (
        parts, flags, market_id, account_id, order_id, client_id, cancel_client_id, mode
    ) = _unpack(frames, offset)  # fmt: skip
    places = order_offsets(frames, offset, parts, 1)
    well_formed = flags in RESTRICTIONS and mode in _MODES and (order_id or client_id != NO_CLIENT_ID)
    if not is_text(client_id) or not is_text(cancel_client_id):
        client_id = cancel_client_id = NO_CLIENT_ID
        well_formed = False
    if places is None or not well_formed or not is_order_of(frames, places[0], market_id, account_id):
        state.journal.cancel_rejected(
            market_id, account_id, order_id, client_id, cancel_client_id, Reason.MALFORMED
        )  # fmt: skip
        return

    def cancel(_: Order) -> Reason | None:
        found = replace_named(state, market_id, account_id, order_id, client_id, cancel_client_id, flags)
        return None if found or mode == ReplaceMode.ALLOW_FAILURE else Reason.NONE

    place_order(state, frames, places[0], cancel)
