"""Every engine reason has its answer, and texts that clients match are exact. No servers."""

import pytest

from apps.gateway import errors
from apps.streams.kinds import Reason

# Reasons that end an accepted order, concern money commands or settings, and so never refuse an order or cancel.
NO_REFUSALS = {
    Reason.NONE, Reason.UNKNOWN_ASSET, Reason.UNKNOWN_HOLD, Reason.DUPLICATE_HOLD, Reason.SELF_TRADE,
    Reason.NO_LIQUIDITY, Reason.BUDGET_SPENT, Reason.HOLD_SPENT, Reason.CANCELED_BY_USER, Reason.CANCELED_BY_STAFF,
    Reason.INVALID_SETTINGS, Reason.MARKET_IN_USE, Reason.CAPTURE_ABOVE_HOLD, Reason.ACCOUNT_HAS_ORDERS,
    Reason.INVALID_STATE, Reason.EXPIRED_BY_TIME, Reason.CANCELED_BY_TIMER, Reason.PARK_EXPIRED,
    Reason.REJECTED_BY_STAFF, Reason.NOT_PARKED, Reason.LIST_ENDED, Reason.BREAKER, Reason.BOOK_CROSSED,
    Reason.UNKNOWN_CLASS,
}  # fmt: skip


@pytest.mark.parametrize("reason", sorted(set(Reason) - NO_REFUSALS))
def test_every_reason_of_a_refusal_has_an_answer(reason: Reason) -> None:
    error = errors.refusal(reason)
    assert 400 <= error.status <= 503
    assert error.number < 0
    assert error.message


def test_texts_that_clients_match() -> None:
    """clients.md sections 2.1 and 2.8."""
    texts = {reason: errors.refusal(reason).message for reason in errors.REFUSALS}
    assert texts[Reason.INSUFFICIENT_BALANCE] == "Account has insufficient balance for requested action."
    assert texts[Reason.MARKET_HALTED] == texts[Reason.MARKET_CLOSED] == "Market is closed."
    assert texts[Reason.DUPLICATE_CLIENT_ID] == "Duplicate order sent."
    assert texts[Reason.MARKET_POST_ONLY] == "Order would immediately match and take."
    restricted = errors.refusal(Reason.CANCEL_RESTRICTED)
    assert (restricted.status, restricted.number, restricted.message) == (
        400, -2011, "Order was not canceled due to cancel restrictions.",
    )  # fmt: skip
    assert errors.order_unknown().message == "Order does not exist."
    assert errors.cancel_refused().message == "Unknown order sent."
    not_executed = errors.not_executed()
    assert (not_executed.status, not_executed.number, not_executed.retry_after_s) == (503, -1001, 1)
    assert errors.unknown_outcome().message == (
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    )
