"""Time passes: what is due runs before each command that is applied, in every market state."""

from apps.matching.engine.accounts import Account
from apps.matching.engine.book import Order
from apps.matching.engine.cancel_timer import fire_cancel_timer
from apps.matching.engine.errors import InvariantBroken
from apps.matching.engine.expiry import expire_order
from apps.matching.engine.parking import end_review
from apps.matching.engine.phases import end_phase
from apps.matching.engine.state import State
from apps.matching.engine.timers import NEVER, RUN_MAX


def run_due(state: State) -> None:
    """At most RUN_MAX timers; the rest before the next command. InvariantBroken at a time that no command may have."""
    now_ms, timers = state.journal.now_ms, state.timers
    if now_ms >= NEVER:
        raise InvariantBroken(f"a time of {now_ms} ms")
    for _ in range(RUN_MAX):
        subject = timers.next_due(now_ms)
        if subject is None:
            return
        if isinstance(subject, Order):
            if subject.terms is not None and subject.terms.parked_seq:
                end_review(state, subject, subject.terms)
            else:
                expire_order(state, subject)
        elif isinstance(subject, Account):
            fire_cancel_timer(state, subject)
        else:
            end_phase(state, subject)
    timers.next_due(now_ms)
