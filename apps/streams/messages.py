"""Bodies of the settings commands (msgpack inside SetAsset, SetMarket and SetAllocation), with their own checks.

All numbers are integers: sizes in 10^-8, money in units, rates in parts per million, bands in basis points.
"""

from typing import Any, Final

import msgspec

from apps.common.amounts import AMOUNT_MAX, ASSET_DECIMALS, BASIS_POINTS
from apps.streams.kinds import AllocationMethod, BreakerMeasure
from apps.streams.records import CONTROL_HEAD_SIZE, FRAME_SIZE, MAX_PARTS

SCALE: Final = 10**ASSET_DECIMALS
MAX_FEE_TIERS: Final = 16
PARK_EXPIRY_S: Final = 3_600  # matching-rules.md 2
PARK_EXPIRY_S_MAX: Final = 7 * 86_400
MAX_ALLOCATION_ACCOUNTS: Final = 64  # also with the longest numbers a body of so many fits into a run
MAX_BREAKER_RULES: Final = 16
# A body must fit into the frames of one command.
BODY_BYTES_MAX: Final = MAX_PARTS * FRAME_SIZE - CONTROL_HEAD_SIZE
# T9: a halt with its call phase lasts 120 to 300 s.
HALT_S_MIN: Final = 120
HALT_S_MAX: Final = 300
CALL_S_MAX: Final = 3_600
MAX_EXTENSIONS: Final = 100
WINDOW_MS_MIN: Final = 1_000
WINDOW_MS_MAX: Final = 24 * 3_600_000
# An average is compared as price x lots of the window x 10^4, in 128 bits: with these bounds it takes 2^33 prints
# within a window to leave them.
VWAP_PRICE_TICKS_MAX: Final = 2**44
VWAP_LOTS_MAX: Final = 2**36
_MEASURES: Final = frozenset(int(measure) for measure in BreakerMeasure)


class SettingsError(ValueError):
    """Settings that no engine accepts; the message names the field and the rule."""


class AssetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """An asset the engine may hold. Its 8 decimals never change. Staff may halt all markets of a class at once."""

    asset_id: int
    code: str
    asset_class: str = ""

    def check(self) -> None:
        _require(0 < self.asset_id < 2**31, "asset_id must be between 1 and 2^31 - 1")
        _require(_is_name(self.code, 16), "code must have 1 to 16 printable ASCII characters")
        _require(
            not self.asset_class or _is_name(self.asset_class, 16),
            "asset_class must have at most 16 printable ASCII characters",
        )


class BreakerRule(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One circuit breaker (T9): a print more than `bp` away from what `measure` gives of the window halts the market.

    `measure` is a BreakerMeasure; halt_s is the length of the first halt within an hour, its call phase included. It
    stands in bodies and in JSON as an array of these five.
    """

    rule_id: int
    measure: int
    bp: int
    window_ms: int
    halt_s: int = HALT_S_MIN

    def check(self) -> None:
        _require(0 < self.rule_id < 2**16, "the id of a breaker rule must be between 1 and 65535")
        _require(self.measure in _MEASURES, "a breaker rule measures PRICE (1) or VWAP (2)")
        _require(0 < self.bp < BASIS_POINTS, "the limit of a breaker rule must be between 1 and 9999 basis points")
        _require(
            WINDOW_MS_MIN <= self.window_ms <= WINDOW_MS_MAX,
            "the window of a breaker rule must be between one second and one day",
        )
        _require(HALT_S_MIN <= self.halt_s <= HALT_S_MAX, f"a breaker halts for {HALT_S_MIN} to {HALT_S_MAX} seconds")


class MarketSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything the engine checks an order of this market against.

    tick_size and lot_size are in 10^-8 of the quote and base asset; `fees` holds (maker_ppm, taker_ppm) by tier,
    a negative maker rate is a rebate. A 0 in max_notional_units, a max_*_orders, max_order_* or a band disables that
    rule. max_order_amends is how often one order may be amended, the max_*_orders and max_order_lists are per account.
    A limit order outside the band is refused, with `park_outside_band` parked for at most
    `park_expiry_s` seconds. A conditional market buy holds its notional at the stop price and `conditional_buffer_bp`
    more. Fields with a default came later; a body without them means the default, which is always that the rule is off.

    breaker_rules ascend by id. A taker whose rest is worth less than breaker_min_notional_units trips nothing. A halt
    ends in a call auction of call_s seconds, 0 for none. Its price must lie within collar_bp of the reference price, 0
    for any; else the call phase goes on, at most max_extensions times.
    """

    market_id: int
    symbol: str
    base_asset_id: int
    quote_asset_id: int
    settings_version: int
    tick_size: int
    lot_size: int
    initial_price_ticks: int
    min_price_ticks: int
    max_price_ticks: int
    min_lots: int
    max_lots: int
    market_max_lots: int
    min_notional_units: int
    max_notional_units: int
    bid_down_bp: int
    bid_up_bp: int
    ask_down_bp: int
    ask_up_bp: int
    max_open_orders: int
    fees: list[tuple[int, int]]
    park_outside_band: bool = False
    park_expiry_s: int = PARK_EXPIRY_S
    max_iceberg_orders: int = 0
    max_conditional_orders: int = 0
    conditional_buffer_bp: int = 0
    breaker_rules: list[BreakerRule] = []
    breaker_min_notional_units: int = 0
    max_order_lists: int = 0
    call_s: int = 0
    collar_bp: int = 0
    max_extensions: int = 0
    max_order_amends: int = 0

    @property
    def unit_factor(self) -> int:
        """Quote units of one tick times one lot: notional = price_ticks * quantity_lots * unit_factor."""
        return self.tick_size * self.lot_size // SCALE

    def plain(self) -> dict[str, Any]:
        """Every field as numbers, texts and lists; a command's body leaves out what is at its default."""
        found: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(self))
        return found

    def check(self) -> None:
        """Raise SettingsError unless an engine can run a market with this."""
        _require(0 < self.market_id < 2**31, "market_id must be between 1 and 2^31 - 1")
        _require(_is_name(self.symbol, 20), "symbol must have 1 to 20 printable ASCII characters")
        _require(0 < self.base_asset_id < 2**31, "base_asset_id must be between 1 and 2^31 - 1")
        _require(0 < self.quote_asset_id < 2**31, "quote_asset_id must be between 1 and 2^31 - 1")
        _require(self.base_asset_id != self.quote_asset_id, "base and quote asset must differ")
        _require(0 < self.settings_version < 2**32, "settings_version must be between 1 and 2^32 - 1")
        _require(0 < self.tick_size <= AMOUNT_MAX, "tick_size must be between 1 and 2^62 - 1")
        _require(0 < self.lot_size <= AMOUNT_MAX, "lot_size must be between 1 and 2^62 - 1")
        _require(
            self.tick_size * self.lot_size % SCALE == 0,
            "tick_size x lot_size must be a whole number of quote units (10^-8): choose a larger tick or lot",
        )
        _require(self.unit_factor <= AMOUNT_MAX, "tick_size x lot_size must stay below 2^62 quote units")
        _require(0 < self.min_price_ticks <= self.max_price_ticks, "price limits must be 0 < min <= max")
        _require(self.max_price_ticks <= AMOUNT_MAX, "max_price_ticks must stay below 2^62")
        _require(self.min_price_ticks <= self.initial_price_ticks <= self.max_price_ticks, "initial price out of range")
        _require(0 < self.min_lots <= self.max_lots, "lot limits must be 0 < min <= max")
        _require(self.market_max_lots > 0, "market_max_lots must be positive")
        _require(self.max_lots * self.lot_size <= AMOUNT_MAX, "max_lots x lot_size must stay below 2^62 units")
        _require(self.market_max_lots * self.lot_size <= AMOUNT_MAX, "market_max_lots must stay below 2^62 units")
        _require(0 <= self.min_notional_units <= AMOUNT_MAX, "min_notional_units must be between 0 and 2^62 - 1")
        _require(0 <= self.max_notional_units <= AMOUNT_MAX, "max_notional_units must be between 0 and 2^62 - 1")
        for down, up, side in ((self.bid_down_bp, self.bid_up_bp, "bid"), (self.ask_down_bp, self.ask_up_bp, "ask")):
            _require(0 <= down <= BASIS_POINTS, f"{side}_down_bp must be between 0 and 10000")
            _require(up == 0 or BASIS_POINTS <= up < 2**31, f"{side}_up_bp must be 0 or between 10000 and 2^31 - 1")
        _require(0 <= self.max_open_orders < 2**31, "max_open_orders must not be negative")
        _require(0 <= self.max_iceberg_orders < 2**31, "max_iceberg_orders must not be negative")
        _require(0 < self.park_expiry_s <= PARK_EXPIRY_S_MAX, "park_expiry_s must be between 1 second and 7 days")
        _require(0 <= self.max_conditional_orders < 2**31, "max_conditional_orders must not be negative")
        _require(0 <= self.max_order_lists < 2**31, "max_order_lists must not be negative")
        _require(0 <= self.max_order_amends < 2**31, "max_order_amends must be between 0 and 2^31 - 1")
        _require(0 <= self.conditional_buffer_bp <= BASIS_POINTS, "conditional_buffer_bp must be between 0 and 10000")
        _require(0 < len(self.fees) <= MAX_FEE_TIERS, f"fees must have 1 to {MAX_FEE_TIERS} tiers")
        for maker_ppm, taker_ppm in self.fees:
            _require(0 <= taker_ppm < 500_000 and maker_ppm < 500_000, "fee rates must be below 50 %")
        lowest_taker_ppm = min(taker_ppm for _, taker_ppm in self.fees)
        for maker_ppm, _ in self.fees:
            _require(-maker_ppm * 10 <= lowest_taker_ppm * 9, "a rebate may be at most 90 % of the lowest taker rate")
        self._check_breakers()
        self._check_auction()
        _require(
            len(body_of(self)) <= BODY_BYTES_MAX,
            f"the settings take more than {BODY_BYTES_MAX} bytes: fewer breaker rules or fee tiers",
        )

    def _check_breakers(self) -> None:
        _require(len(self.breaker_rules) <= MAX_BREAKER_RULES, f"at most {MAX_BREAKER_RULES} breaker rules")
        ids = [rule.rule_id for rule in self.breaker_rules]
        _require(ids == sorted(set(ids)), "breaker rules must ascend by id, each id once")
        for rule in self.breaker_rules:
            rule.check()
            _require(
                rule.measure != BreakerMeasure.VWAP
                or (self.max_price_ticks <= VWAP_PRICE_TICKS_MAX and self.max_lots <= VWAP_LOTS_MAX),
                "a market with a VWAP breaker has a max_price_ticks of at most 2^44 and a max_lots of at most 2^36",
            )
        _require(
            0 <= self.breaker_min_notional_units <= AMOUNT_MAX,
            "breaker_min_notional_units must be between 0 and 2^62 - 1",
        )

    def _check_auction(self) -> None:
        _require(0 <= self.call_s <= CALL_S_MAX, f"call_s must be between 0 and {CALL_S_MAX}")
        _require(
            all(self.call_s < rule.halt_s for rule in self.breaker_rules),
            "call_s must be below the halt_s of every breaker rule: the call phase is part of the halt",
        )
        _require(0 <= self.collar_bp < 2**31, "collar_bp must be between 0 and 2^31 - 1")
        _require(0 <= self.max_extensions <= MAX_EXTENSIONS, f"max_extensions must be between 0 and {MAX_EXTENSIONS}")


def body_of(settings: msgspec.Struct) -> bytes:
    """A command's body in its shortest form: without what is at its default, where the type may leave it out.

    msgspec by itself leaves a field out only where it holds the very object that is its default.
    """
    if not type(settings).__struct_config__.omit_defaults:
        return msgspec.msgpack.encode(settings)
    values = {field.name: getattr(settings, field.name) for field in msgspec.structs.fields(settings)}
    for field in msgspec.structs.fields(settings):
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if values[field.name] == default:
            del values[field.name]
    return msgspec.msgpack.encode(values)


def typed(values: dict[str, Any]) -> dict[str, Any]:
    """Fields of MarketSettings as MarketSettings takes them, where some come from a record as plain lists."""
    return values | {
        "fees": [(maker_ppm, taker_ppm) for maker_ppm, taker_ppm in values["fees"]],
        "breaker_rules": [BreakerRule(*rule) for rule in values["breaker_rules"]],
    }


class AllocationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How block orders of `account_id` that name the rule are divided among `accounts` (T12).

    `weights_bp` holds their basis points, for FIXED only. A rule without accounts is no rule any more.
    """

    account_id: int
    rule_id: int
    method: int
    accounts: list[int]
    weights_bp: list[int] = []

    def check(self) -> None:
        """Raise SettingsError unless it divides whole orders."""
        _require(0 < self.account_id < 2**63, "account_id must be between 1 and 2^63 - 1")
        _require(0 < self.rule_id < 2**31, "rule_id must be between 1 and 2^31 - 1")
        _require(self.method in set(AllocationMethod), "method must be 1 (fixed), 2 (equal) or 3 (pro rata)")
        _require(len(self.accounts) <= MAX_ALLOCATION_ACCOUNTS, f"at most {MAX_ALLOCATION_ACCOUNTS} accounts")
        _require(len(set(self.accounts)) == len(self.accounts), "an account stands in a rule once")
        _require(all(0 < each < 2**63 for each in self.accounts), "accounts must be between 1 and 2^63 - 1")
        if self.method == AllocationMethod.FIXED and self.accounts:
            _require(len(self.weights_bp) == len(self.accounts), "each account needs a weight")
            _require(all(weight > 0 for weight in self.weights_bp), "weights must be positive")
            _require(sum(self.weights_bp) == BASIS_POINTS, f"weights must add up to {BASIS_POINTS} basis points")
        else:
            _require(not self.weights_bp, "only a fixed rule has weights")


def _is_name(text: str, length_max: int) -> bool:
    return 0 < len(text) <= length_max and text.isascii() and text.isprintable()


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise SettingsError(rule)
