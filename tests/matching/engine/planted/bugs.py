"""Small wrong changes to the plain engine, each with why it is one and the tests that find it first.

A bug that the named tests let pass is tried on all quick tests of the engine (plain.py).
"""

from typing import Final

from tests.planting import Bug, Finder, pytest_with

ENGINE: Final = "apps/matching/engine/"
AMOUNTS: Final = "apps/common/amounts.py"
TESTS: Final = "tests/matching/engine/"


def bug(name: str, what: str, module: str, old: str, new: str, *finders: str) -> Bug:
    """One edit of an engine module; `finders` are names of test modules without `test_`."""
    path = module if "/" in module else ENGINE + module + ".py"
    return Bug(name, what, ((path, old, new),), (quick(*(f"{TESTS}test_{each}.py" for each in finders)),))


def quick(*arguments: str) -> Finder:
    """Not on the compiled engine, which has none of these bugs and would be built again for each copy of the tree."""
    return of_an_engine("-k", "not native", *arguments)


def of_an_engine(*arguments: str) -> Finder:
    """A bug may make a loop without an end; no quick test takes that long. No engine needs what the upper conftest.py
    starts.
    """
    return pytest_with("--timeout", "60", f"--confcutdir={TESTS}", *arguments)


BUGS: Final[tuple[Bug, ...]] = (
    # -- the sweep -----------------------------------------------------------------------------------------------------
    bug(
        "limit-price-excluded", "a limit order never trades at its own price",
        "sweep", "        if key < worst_key:", "        if key <= worst_key:", "price_time",
    ),
    bug(
        "expired-maker-trades", "a taker prints against an order that has expired by time",
        "sweep", "            if overdue and has_expired(", "            if not overdue and has_expired(",
        "time_in_force",
    ),
    bug(
        "family-is-one-account", "self-trade prevention looks at the account, not at its family",
        "sweep", "if maker.account.family_id == family_id:", "if maker.account.account_id == account_id:", "selftrade",
    ),
    bug(
        "fee-tier-of-taker-ignored", "every taker pays the first tier's rate",
        "sweep", "market.taker_ppm[taker.account.fee_tier]", "market.taker_ppm[0]", "fees",
    ),
    bug(
        "makers-fee-by-takers-tier", "the maker pays the rate of the taker's tier",
        "sweep", "market.maker_ppm[maker.account.fee_tier]", "market.maker_ppm[taker.account.fee_tier]", "fees",
    ),
    bug(
        "fee-on-the-wrong-asset", "fees are reckoned on what a party gives, not on what it receives",
        "sweep", "(base_units, quote_units) if buying else", "(base_units, quote_units) if not buying else", "fees",
    ),
    bug(
        "difference-to-limit-kept", "a buyer that pays less than its limit gets the difference only at the end",
        "sweep", "lot_cost if by_budget else taker.price_ticks * market.unit_factor", "lot_cost", "price_time",
    ),
    bug(
        "agg-id-for-each-print", "one taker order at one price gets several agg_ids",
        "sweep", "            if not agg_id:", "            if lots:", "price_time", "oracle",
    ),
    bug(
        "iceberg-done-at-its-tip", "a maker with hidden lots is said to be filled when its tip is",
        "sweep", "if not maker_left and not reserve:", "if not maker_left:", "iceberg",
    ),
    bug(
        "reserve-not-told", "the trade event leaves the maker's hidden lots out",
        "sweep", "level_lots, maker_left + reserve,", "level_lots, maker_left,", "random",
    ),
    bug(
        "budget-rounded-up", "a quote budget buys one lot more than it pays for",
        "sweep", "wanted = budget_units // lot_cost", "wanted = -(-budget_units // lot_cost)", "market_orders",
    ),
    bug(
        "last-price-is-the-limit", "the last price is what the taker offered, not what was paid",
        "sweep", "market.last_price_ticks = price_ticks", "market.last_price_ticks = taker.price_ticks or price_ticks",
        "docs", "price_time",
    ),
    # -- icebergs ------------------------------------------------------------------------------------------------------
    bug(
        "refill-at-front", "the next tip keeps its place before orders that were shown",
        "iceberg", "    if order is not level.tail:", "    if level.tail is None:", "iceberg",
    ),
    bug(
        "refill-keeps-its-priority", "a refill's place is not that of its event",
        "iceberg", "    order.priority = state.journal.seq", "    order.priority += 0", "iceberg", "random",
    ),
    bug(
        "last-tip-too-large", "the last tip shows more than there is",
        "iceberg", "tip = min(terms.display_lots, terms.reserve_lots)", "tip = terms.display_lots", "iceberg",
    ),
    bug(
        "hundred-parts-refused", "an iceberg of exactly the most parts is refused",
        "iceberg", "PARTS_MAX < order.quantity_lots", "PARTS_MAX <= order.quantity_lots", "iceberg",
    ),
    bug(
        "hidden-lots-not-given-back", "an iceberg that ends keeps the hold of its reserve",
        "funds", "        lots = order.open_lots\n", "        lots = order.left_lots\n", "iceberg",
    ),
    # -- band and filters ----------------------------------------------------------------------------------------------
    bug(
        "band-of-the-other-side", "buys are judged by the sells' band",
        "band", "    if order.side == BUY:", "    if order.side != BUY:", "refusals", "docs",
    ),
    bug(
        "band-excludes-its-bound", "a price exactly at the upper bound is refused",
        "band", "scaled > reference * up_bp", "scaled >= reference * up_bp", "refusals", "docs",
    ),
    bug(
        "band-of-the-first-day", "the band stands at the initial price for ever",
        "band", "market.last_price_ticks or settings.initial_price_ticks", "settings.initial_price_ticks", "docs",
    ),
    bug(
        "one-amendment-too-many", "an order may be amended once more than the market allows",
        "filters", "order.terms.amends >= limit", "order.terms.amends > limit", "amend",
    ),
    bug(
        "amendments-are-not-counted", "an order may be amended without end",
        "amend", "min(terms.amends + 1, AMENDS_MAX)", "min(terms.amends, AMENDS_MAX)", "amend",
    ),
    bug(
        "least-lots-excluded", "an amendment to exactly the least quantity is refused",
        "filters", "    if quantity_lots < settings.min_lots:", "    if quantity_lots <= settings.min_lots:", "amend",
    ),
    bug(
        "one-order-too-many", "an account may have one open order more than the market allows",
        "filters", "len(seat.open_orders) >= settings.max_open", "len(seat.open_orders) > settings.max_open",
        "refusals",
    ),
    bug(
        "one-iceberg-too-many", "an account may have one iceberg more than the market allows",
        "filters", "seat.iceberg_orders >= settings.max_iceberg_orders",
        "seat.iceberg_orders > settings.max_iceberg_orders", "parking",
    ),
    bug(
        "overflow-not-refused", "a notional above 2^62 is taken",
        "filters", "    if notional_units > AMOUNT_MAX:", "    if notional_units > AMOUNT_MAX**2:", "refusals",
    ),
    # -- money ---------------------------------------------------------------------------------------------------------
    bug(
        "fee-rounded-down", "the house loses the part of a unit in every fee",
        AMOUNTS, "return -(-received_units * rate_ppm // PPM)", "return received_units * rate_ppm // PPM", "fees",
    ),
    bug(
        "rebate-rounded-up", "the house loses the part of a unit in every rebate",
        AMOUNTS, "(taker_receipt_units * -maker_rate_ppm // PPM,",
        "(ceil_div(taker_receipt_units * -maker_rate_ppm, PPM),", "fees",
    ),
    bug(
        "capture-keeps-the-rest", "a capture does not say what it gave back",
        "money", "rest = held.amount_units - money.amount_units", "rest = 0", "money",
    ),
    bug(
        "foreign-hold", "a hold can be captured by naming another account",
        "money", "held is None or held.account_id != money.account_id or", "held is None or", "money",
    ),
    bug(
        "relayed-twice", "the last relayed command is applied again when it comes again",
        "relay", "    if relay_seq <= last:", "    if relay_seq < last:", "money", "settings",
    ),
    # -- limit orders, time in force -----------------------------------------------------------------------------------
    bug(
        "ioc-rests", "what an IOC order does not print stands in the book",
        "limit", "elif order.time_in_force in _IMMEDIATE:", "elif order.time_in_force == _FOK:", "time_in_force",
    ),
    bug(
        "fok-fills-in-part", "a FOK order prints what there is",
        "limit", ".lots < order.quantity_lots:", ".lots < 1:", "time_in_force",
    ),
    bug(
        "run-counts-legs-that-leave", "a read-only run counts legs of OCOs that its first print ends",
        "reach", "            self.price_ticks = price_ticks", "            self.price_ticks = 0", "leaving_legs",
    ),
    bug(
        "leaving-leg-keeps-its-reserve", "a read-only run counts what a leg that its first print ends hides",
        "reach",
        "                order = order.next\n                continue\n            if terms.reserve_lots:",
        "                if terms.reserve_lots:\n                    refills.append((order, terms.reserve_lots))\n"
        "                order = order.next\n                continue\n            if terms.reserve_lots:",
        "leaving_legs",
    ),
    bug(
        "leg-that-was-met-leaves", "a read-only run loses what a leg hides that was met before the first print",
        "reach",
        "        order, reserve = refills.popleft()\n        assert order.terms is not None\n",
        "        order, reserve = refills.popleft()\n        assert order.terms is not None\n"
        "        if first.price_ticks and first.has_ended(order):\n"
        "            continue\n",
        "leaving_legs",
    ),
    bug(
        "leg-beside-a-trailing-stop-stays", "a run counts legs whose trailing partner its first print triggers",
        "conditional", "terms.segment is not None and stop_key(", "terms.segment is None and stop_key(", "leaving_legs",
    ),
    bug(
        "activation-counts-as-trigger", "a read-only run takes a leg as gone whose partner only begins to trail",
        "conditional", "    if not terms.trailing_bips:\n        return is_met",
        "    if terms.segment is None:\n        return is_met", "leaving_legs",
    ),
    bug(
        "trailing-stop-of-a-run-excluded", "a run counts a leg whose trailing partner triggers exactly at its stop",
        "conditional", "terms.trailing_bips) >= sign * price_ticks", "terms.trailing_bips) > sign * price_ticks",
        "leaving_legs",
    ),
    bug(
        "fok-misses-the-hidden", "a FOK order does not count what icebergs hide",
        "reach", "    while refills:", "    while refills and not refills:", "time_in_force", "iceberg",
    ),
    bug(
        "post-only-keeps-its-hold", "a refused LIMIT_MAKER keeps its money",
        "limit", "        release_for(order)\n        return Reason.WOULD_MATCH", "        return Reason.WOULD_MATCH",
        "time_in_force", "machine",
    ),
    bug(
        "self-trade-keeps-the-hold", "the rest that self-trade prevention ends is not given back",
        "limit", "    release_for(order)\n    leave_at_entry", "    leave_at_entry", "selftrade",
    ),
    bug(
        "place-of-what-is-left", "what rests after a print has no place of its own",
        "limit", "    order.priority = state.journal.seq\n\n\ndef _end", "\n\ndef _end", "random",
    ),
    bug(
        "trades-in-its-last-millisecond", "a GTD order trades at the very millisecond of its end",
        "expiry", "0 < terms.expires_ms <= now_ms", "0 < terms.expires_ms < now_ms", "time_in_force",
    ),
    bug(
        "one-timer-too-many", "more timers than allowed run before one command",
        "due", "    for _ in range(RUN_MAX):", "    for _ in range(RUN_MAX + 1):", "time_in_force",
    ),
    # -- market orders -------------------------------------------------------------------------------------------------
    bug(
        "exact-money-refused", "a market buy that costs all that is there is refused",
        "market_order", ".available_units < would_print(", ".available_units <= would_print(", "docs", "market_orders",
    ),
    bug(
        "dust-kept", "what a budget could not spend stays held",
        "market_order", "release(pays, budget.rest_units() if order.side == BUY else",
        "release(pays, 0 if order.side == BUY else", "market_orders",
    ),
    bug(
        "lot-size-of-an-empty-book", "a budget is refused where there is nothing to buy",
        "filters", "best_price * order.market.unit_factor > order.budget_units",
        "best_price * order.market.unit_factor >= order.budget_units", "market_orders",
    ),
    # -- self-trade prevention -----------------------------------------------------------------------------------------
    bug(
        "decrement-takes-the-hidden", "DECREMENT takes off more than the maker shows",
        "selftrade", "lots = min(wanted_lots, maker.left_lots)", "lots = min(wanted_lots, maker.open_lots)",
        "selftrade",
    ),
    bug(
        "expire-both-spares-the-maker", "EXPIRE_BOTH ends the taker only",
        "selftrade", "_ENDS_MAKER: Final = frozenset({int(StpMode.EXPIRE_MAKER), int(StpMode.EXPIRE_BOTH)})",
        "_ENDS_MAKER: Final = frozenset({int(StpMode.EXPIRE_MAKER)})", "selftrade", "docs",
    ),
    bug(
        "decrement-keeps-the-takers-hold", "what DECREMENT takes off the taker stays held",
        "selftrade", "        release_lots(taker, lots)", "        release_lots(taker, 0)", "selftrade",
    ),
    bug(
        "prevented-id-repeats", "all prevented matches of a market have one id",
        "selftrade", "taker.market.last_prevented_id += 1", "taker.market.last_prevented_id = 1", "selftrade",
    ),
    bug(
        "fok-counts-its-family", "a FOK order counts on orders of its own family",
        "reach", "if maker.account.family_id != family_id:", "if maker.account.family_id:", "selftrade",
    ),
    # -- amend, cancel, timers -----------------------------------------------------------------------------------------
    bug(
        "amend-to-the-same", "an amendment to the same quantity is taken",
        "amend", "gone < quantity_lots < order.quantity_lots", "gone < quantity_lots <= order.quantity_lots", "amend",
    ),
    bug(
        "amend-below-what-is-filled", "an amendment to exactly what is filled is taken",
        "amend", "if not gone < quantity_lots", "if not gone <= quantity_lots", "amend",
    ),
    bug(
        "amend-takes-the-tip-first", "an amendment takes what shows before what is hidden",
        "amend", "from_reserve = min(less, terms.reserve_lots)", "from_reserve = 0", "amend",
    ),
    bug(
        "amend-keeps-the-hold", "what an amendment takes off stays held",
        "amend", "release_lots(order, less)", "release_lots(order, 0)", "amend",
    ),
    bug(
        "second-amendment-forgets", "after two amendments a repeat of the order is not known",
        "amend", "terms.placed_lots or old_lots", "old_lots", "amend",
    ),
    bug(
        "cancel-all-backwards", "cancel-all goes from the newest order to the oldest",
        "cancel", "orders.sort(key=lambda order: order.order_id)", "orders.sort(key=lambda order: -order.order_id)",
        "cancel",
    ),
    bug(
        "cancel-by-either-id", "a cancel by two ids takes the order that one of them names",
        "cancel", "(order.client_id == client_id or client_id == NO_CLIENT_ID)", "order.client_id", "cancel",
    ),
    bug(
        "restriction-turned-round", "a cancel of NEW orders takes those that are partially filled",
        "cancel", "(flags == _ONLY_NEW)", "(flags != _ONLY_NEW)", "cancel",
    ),
    bug(
        "pending-counts-as-new", "a cancel of NEW orders takes one that is parked, or pending in a list",
        "cancel", "order.terms.waiting in (PARKED, PENDING)", "order.terms.waiting < 0", "cancel",
    ),
    bug(
        "replace-unrestricted", "a cancel-replace does not ask for the status of the order",
        "cancel", """        reason = Reason.BLOCK_UNCHANGEABLE
    elif flags and is_restricted""", """        reason = Reason.BLOCK_UNCHANGEABLE
    elif False and is_restricted""", "replace",
    ),
    # -- strategies ----------------------------------------------------------------------------------------------------
    bug(
        "strategy-of-waiting-lost", "an order that waits is told without its strategy",
        "order_events", "given | (_PENDING if is_pending else _WAITING), 0,",
        "(_PENDING if is_pending else _WAITING), 0,", "strategy",
    ),
    bug(
        "strategy-says-too-much", "a strategy frame may have a number that it says it does not give",
        "strategy", "(strategy_id and not given & _ID)", "False", "strategy",
    ),
    bug(
        "frames-left-over", "frames behind the last order of a list are not looked at",
        "strategy", "return found if at == end else None", "return found if at <= end else None", "strategy",
    ),
    bug(
        "cancel-timer-never-cleared", "a cancel-all-after of 0 is one that is due at once",
        "cancel_timer", "state.journal.now_ms + timeout_ms if timeout_ms else 0", "state.journal.now_ms + timeout_ms",
        "cancel_timer",
    ),
    # -- client ids ----------------------------------------------------------------------------------------------------
    bug(
        "ring-one-short", "one closed id fewer is remembered",
        "client_ids", "if len(ring) > self.capacity:", "if len(ring) >= self.capacity:", "client_ids",
    ),
    bug(
        "newer-owner-forgotten", "an old record that leaves the ring takes the newer owner of its id with it",
        "client_ids", "if self.owners[oldest[:KEY_SIZE]] is oldest:", "if oldest[:KEY_SIZE] in self.owners:",
        "client_ids",
    ),
    bug(
        "fingerprint-without-price", "an order at another price counts as the same one",
        "client_ids", "order.price_ticks, placed_lots, order.budget_units", "0, placed_lots, order.budget_units",
        "client_ids",
    ),
    # -- market states, poison -----------------------------------------------------------------------------------------
    bug(
        "post-only-lets-takers-in", "a POST_ONLY market takes limits that match",
        "states", "order.kind == OrderKind.LIMIT and not would_match(state, order)", "order.kind == OrderKind.LIMIT",
        "states",
    ),
    bug(
        "closing-keeps-the-orders", "a market that closes leaves its orders where they are",
        "states", "    if new_state == MarketState.CLOSED:", "    if old_state == MarketState.CLOSED:", "states",
    ),
    bug(
        "worker-opens-what-staff-closed", "the worker's stop moves a market that staff has closed",
        "states", "new_state != WORKERS_STOPS[HaltCause(cause)] or market.state not in MAY_TRADE",
        "new_state != WORKERS_STOPS[HaltCause(cause)]", "states", "poison",
    ),
    bug(
        "fourth-skip-stops", "a market goes on after three failed commands",
        "poison", "market.skips >= SKIPS_MAX", "market.skips > SKIPS_MAX", "poison",
    ),
    bug(
        "stale-settings-taken", "an order that counts in old ticks is taken",
        "placing", "if settings_version < market.settings_version:", "if settings_version < 0:", "refusals", "settings",
    ),
    # -- breakers and auctions -----------------------------------------------------------------------------------------
    bug(
        "breaker-at-its-limit", "a print exactly at the limit does not happen",
        "breaker_window", "(price - low) * BASIS_POINTS > bp * low", "(price - low) * BASIS_POINTS >= bp * low",
        "breaker",
    ),
    bug(
        "breaker-forgets-the-last-price", "what left the window is no price to compare with",
        "breaker_window", "self.before = gone.last", "pass", "breaker",
    ),
    bug(
        "breaker-forgets-own-prints", "the taker's own earlier prints do not count",
        "breaker_window", "min(window.low(), first) * up", "window.low() * up", "breaker",
    ),
    bug(
        "halts-never-longer", "each halt of an hour is as long as the first",
        "halt", "LONGER_S: Final = 60", "LONGER_S: Final = 0", "breaker",
    ),
    bug(
        "late-timers-open", "a jump of the clock opens a halted market",
        "phases", "now_ms - market.until_ms > LATE_MS", "False", "breaker", "auction",
    ),
    bug(
        "auction-least-volume", "the price with the least volume is chosen",
        "auction", "rank = (-lots,", "rank = (lots - 2**62,", "auction",
    ),
    bug(
        "auction-older-takes", "the older order of a pair pays as the taker",
        "uncross", "buyer.priority > seller.priority", "buyer.priority < seller.priority", "auction",
    ),
    bug(
        "auction-without-reserves", "an iceberg counts with its tip only",
        "auction", "level.lots + level.hidden_lots", "level.lots", "auction",
    ),
    bug(
        "crossed-book-opened", "staff opens a crossed book",
        "states", "new_state in UNCROSSED and market.is_crossed()", "False", "auction",
    ),
    # -- parking -------------------------------------------------------------------------------------------------------
    bug(
        "post-only-parked", "a LIMIT_MAKER outside the band is parked",
        "parking", "order.market.settings.park_outside_band and order.kind == _LIMIT and",
        "order.market.settings.park_outside_band and", "parking",
    ),
    bug(
        "parked-beyond-its-end", "a parked GTD order outlives its own end",
        "parking", "due_ms = min(due_ms, terms.expires_ms)", "due_ms = max(due_ms, terms.expires_ms)", "parking",
    ),
    bug(
        "released-into-a-halt", "a release goes into a market that takes no orders",
        "review", "    if market.state != MarketState.OPEN:", "    if market.state == MarketState.OPEN:", "parking",
    ),
    bug(
        "released-beyond-the-limits", "a release does not ask how many orders the account has",
        "review", "        reason = account_limits_fault(order)", "        reason = None", "parking",
    ),
    # -- conditional orders --------------------------------------------------------------------------------------------
    bug(
        "stop-direction", "stops wait for the wrong direction",
        "conditional", "return (order.kind in _STOP_LOSSES) == (order.side == SELL)",
        "return (order.kind in _STOP_LOSSES) != (order.side == SELL)", "conditional",
    ),
    bug(
        "stop-beyond-its-price", "a stop triggers only beyond its price",
        "conditional", "first = bisect_left(entries, (least_key,))", "first = bisect_left(entries, (least_key + 1,))",
        "conditional",
    ),
    bug(
        "stops-tie-newest-first", "of two stops at one price the newer one goes first",
        "conditional", "return self.fall, (terms.stop_price_ticks, -terms.accepted_seq)",
        "return self.fall, (terms.stop_price_ticks, terms.accepted_seq)", "trigger_queue",
    ),
    bug(
        "at-once-taken", "a stop that is met exactly at entry is taken",
        "conditional", "return price_ticks <= terms.stop_price_ticks if falls_to(order)",
        "return price_ticks < terms.stop_price_ticks if falls_to(order)", "conditional",
    ),
    bug(
        "fifo-is-a-stack", "the order that was triggered last takes its turn first",
        "triggered", "popitem(last=False)", "popitem(last=True)", "trigger_queue",
    ),
    bug(
        "triggered-runs-in-a-halt", "triggered orders take their turns in a market that stands still",
        "triggered", "while market.triggered and market.state == _OPEN:", "while market.triggered:", "trigger_queue",
    ),
    bug(
        "triggered-unchecked", "a triggered order is not checked again",
        "triggered", "        reason = rules.fault(state, order)", "        reason = None", "trigger_queue",
    ),
    bug(
        "no-buffer", "a conditional market buy holds its notional without the buffer",
        "stop_order", "(BASIS_POINTS + buffer_bp)", "BASIS_POINTS", "conditional",
    ),
    bug(
        "trailing-rounded-nearer", "a trailing stop is rounded towards the price",
        "trailing", "(BASIS_POINTS - sign * bips) // BASIS_POINTS", "(BASIS_POINTS - sign * bips) // BASIS_POINTS + 1",
        "trailing", "conditional",
    ),
    bug(
        "one-conditional-too-many", "an account may have one conditional order more than the market allows",
        "filters", "order.seat.conditional_orders + count > limit", "order.seat.conditional_orders + count > limit + 1",
        "conditional_refusals",
    ),
    # -- order lists ---------------------------------------------------------------------------------------------------
    bug(
        "cancel-expires-the-others", "the rest of a cancelled list ends EXPIRED",
        "ending", "            if status == _CANCELED:", "            if status == _EXPIRED:", "order_lists",
    ),
    bug(
        "oco-holds-twice", "both legs of an OCO hold their funds",
        "order_list", "return max(need_of_whole(first), need_of_whole(second))",
        "return need_of_whole(first) + need_of_whole(second)", "order_lists",
    ),
    bug(
        "oco-survives-a-partial-fill", "the other leg of an OCO ends only when the first is filled whole",
        "ending", "    end_sibling(state, maker)\n    if not maker.open_lots:",
        "    if not maker.open_lots:\n        end_sibling(state, maker)", "order_lists",
    ),
    bug(
        "oto-at-the-first-fill", "the pending order enters before the working one has filled whole",
        "ending", "    if not maker.open_lots:\n        leave_list", "    if maker.filled_lots:\n        leave_list",
        "order_lists",
    ),
    bug(
        "pending-not-checked-at-once", "a pending order that would match or trigger at once enters",
        "pending", "        reason = at_once_fault(state, order)", "        reason = None", "order_lists",
    ),
    bug(
        "oco-legs-crossed", "an OCO whose lower leg stands above the upper one is refused no more",
        "list_legs", "all(prices) and prices[0] <= prices[1]", "all(prices) and prices[0] < 0", "order_lists",
    ),
    # -- circuit breakers ----------------------------------------------------------------------------------------------
    bug(
        "exactly-at-the-limit-trips", "a print exactly at the limit halts the market",
        "breaker_window", "return (price - low) * BASIS_POINTS > bp", "return (price - low) * BASIS_POINTS >= bp",
        "breaker",
    ),
    bug(
        "price-before-the-window-forgotten", "a quiet market has nothing to measure against",
        "breaker_window", "return min(low, self.before) if self.before else low", "return low", "breaker",
    ),
    bug(
        "bucket-leaves-early", "a bucket does not count while its last millisecond still does",
        "breaker_window", "return (k + 1) * self.len_ms > now_ms", "return k * self.len_ms > now_ms", "breaker",
    ),
    bug(
        "own-prints-do-not-count", "an order may walk away from its own first print",
        "breaker_window", "return min(window.low(), first) * up", "return window.low() * up", "breaker",
    ),
    bug(
        "vwap-upwards-only", "a price below the average never trips",
        "breaker_window", "abs(price * lots - value) * BASIS_POINTS", "(price * lots - value) * BASIS_POINTS",
        "breaker",
    ),
    bug(
        "first-halt-longer", "the first halt of an hour is as long as the second",
        "halt", "LONGER_S * (len(market.halts) - 1)", "LONGER_S * len(market.halts)", "breaker",
    ),
    bug(
        "small-rest-at-the-bound-spared", "a rest worth exactly the minimum does not halt the market",
        "halt", "breaker.rest_units < market", "breaker.rest_units <= market", "breaker",
    ),
    bug(
        "windows-outlive-a-halt", "what was printed before a halt counts after it",
        "moving", "if new_state == _OPEN and old_state != _OPEN and", "if new_state == old_state == _OPEN and",
        "breaker",
    ),
    # -- allocation ----------------------------------------------------------------------------------------------------
    bug(
        "allocation-tie-order", "equal remainders go to the last account",
        "allocation", "ranked = sorted(range(len(parts)), key=lambda position: (-remainders[position], position))",
        "ranked = sorted(range(len(parts)), key=lambda position: (-remainders[position], -position))", "allocation",
    ),
    bug(
        "each-fill-for-itself", "a fill is divided without looking at what came before",
        "allocation", "divmod(share * so_far - got * quantity, quantity)", "divmod(share * lots, quantity)",
        "allocation",
    ),
    bug(
        "fee-split-evenly", "an account pays for lots of a fill that others got",
        "shares", "weights = [portion.lots for portion in portions]", "weights = [1 for portion in portions]", "block",
    ),
    bug(
        "short-share-accepted", "a block order is taken although one account cannot pay for its share",
        "shares", "available_units < share.open_lots * per_lot:\n            return False",
        "available_units < per_lot:\n            return False", "block",
    ),
    # -- snapshots -----------------------------------------------------------------------------------------------------
    bug(
        "snapshot-forgets-fee-tiers", "a restored account is in the first tier",
        "snapshot", "state.accounts[account_id] = Account(account_id, 0, fee_tier)",
        "state.accounts[account_id] = Account(account_id, 0)", "random", "snapshot",
    ),
    bug(
        "snapshot-forgets-amendments", "after a restart a repeat of an amended order is not known",
        "snapshot_orders", "_terms_of(orders[order_id]).placed_lots = placed_lots",
        "_terms_of(orders[order_id]).placed_lots = 0", "amend",
    ),
    bug(
        "snapshot-forgets-the-count-of-amendments", "after a restart an order may be amended as often again",
        "snapshot_orders", "_terms_of(orders[order_id]).amends = amends",
        "_terms_of(orders[order_id]).amends = 0", "amend",
    ),
)  # fmt: skip
