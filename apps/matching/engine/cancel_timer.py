"""Cancel-all-after, the dead man's switch: an account's orders are cancelled unless it is heard of in time (T4).

One timer an account, over all markets. Setting it anew replaces it, 0 clears it, and it fires once.
"""

from typing import Final

from apps.matching.engine.accounts import Account
from apps.matching.engine.client_ids import NO_CLIENT_ID
from apps.matching.engine.ending import end_all
from apps.matching.engine.framing import fields_of
from apps.matching.engine.state import State
from apps.streams.kinds import CommandKind, OrderStatus, Reason, TimerFlag

TIMEOUT_MS_MAX: Final = 24 * 3_600_000

_unpack = fields_of(CommandKind.SET_CANCEL_TIMER).unpack_from


def set_cancel_timer(state: State, frames: bytes, offset: int) -> None:
    parts, flags, market_id, account_id, timeout_ms = _unpack(frames, offset)
    account = state.accounts.get(account_id)
    if parts != 1 or flags or market_id or timeout_ms > TIMEOUT_MS_MAX:
        reason = Reason.MALFORMED
    elif account is None:
        reason = Reason.UNKNOWN_ACCOUNT
    else:
        due_ms = state.journal.now_ms + timeout_ms if timeout_ms else 0
        _stop(state, account)
        state.journal.cancel_timer_set(account_id, due_ms)
        if due_ms:
            start_cancel_timer(state, account, due_ms, state.journal.seq)
        return
    state.journal.cancel_rejected(market_id, account_id, 0, NO_CLIENT_ID, NO_CLIENT_ID, reason)


def start_cancel_timer(state: State, account: Account, due_ms: int, seq: int) -> None:
    """`seq` is that of the CANCEL_TIMER_SET event."""
    account.cancel_due_ms, account.cancel_timer_seq = due_ms, seq
    state.timers.add(due_ms, seq, account)


def fire_cancel_timer(state: State, account: Account) -> None:
    """All orders of the account, by ascending order_id; then the event that says there is no timer any more."""
    end_all(state, account.all_open_orders(), OrderStatus.CANCELED, Reason.CANCELED_BY_TIMER)
    _stop(state, account)
    state.journal.cancel_timer_set(account.account_id, 0, TimerFlag.FIRED)


def _stop(state: State, account: Account) -> None:
    if account.cancel_timer_seq:
        account.cancel_due_ms = account.cancel_timer_seq = 0
        state.timers.leave_behind()
