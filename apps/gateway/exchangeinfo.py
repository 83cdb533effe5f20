"""GET exchangeInfo: markets, filters and limits, listing only what works today."""

from typing import Any, Final

from apps.common.amounts import AMOUNT_MAX, ASSET_DECIMALS, BASIS_POINTS, format_units
from apps.gateway.dialect import NOTHING, ORDER_TYPES, STATE_STATUS, STP_MODES
from apps.gateway.limits.tiers import Tier, all_rows
from apps.gateway.markets import Market
from apps.matching.engine.iceberg import PARTS_MAX
from apps.matching.engine.stop_order import TRAILING_BIPS_MAX, TRAILING_BIPS_MIN
from apps.streams.kinds import BreakerMeasure, MarketState, StpMode

# What an account must have any of; every account has it.
PERMISSIONS: Final = ("SPOT",)
# Filters that count what an account has in the market.
OF_ACCOUNT: Final = frozenset(
    {"MAX_NUM_ORDERS", "MAX_NUM_ALGO_ORDERS", "MAX_NUM_ORDER_LISTS", "MAX_NUM_ICEBERG_ORDERS"}
)


def exchange_info(markets: list[tuple[Market, MarketState]], limits: Tier, now_ms: int) -> dict[str, Any]:
    """`markets` with the newest state that is known of each.

    `limits`: those of everybody; an account's own are in rateLimit/order.
    """
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": all_rows(limits),
        "exchangeFilters": [],
        "symbols": [symbol(market, state) for market, state in markets],
    }


def symbol(market: Market, state: MarketState) -> dict[str, Any]:
    return {
        "symbol": market.symbol,
        "status": STATE_STATUS[state],
        "marketState": state.name,
        "baseAsset": market.base.code,
        "baseAssetPrecision": ASSET_DECIMALS,
        "quoteAsset": market.quote.code,
        "quotePrecision": ASSET_DECIMALS,
        "quoteAssetPrecision": ASSET_DECIMALS,
        "baseCommissionPrecision": ASSET_DECIMALS,
        "quoteCommissionPrecision": ASSET_DECIMALS,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        # Ours: a conditional market buy holds its notional at the stop price and so much more.
        "stopBuyBuffer": _multiplier(market.conditional_buffer_bp),
        # Ours: `rule` of marketState. A print further than `distance` (a share of it) from the lowest or highest print
        # of the window (PRICE) or from its average (VWAP) halts the market, call phase included, for haltMs or longer.
        "circuitBreakers": [
            {
                "rule": rule.rule_id,
                "measure": BreakerMeasure(rule.measure).name,
                "distance": _multiplier(rule.bp),
                "windowMs": rule.window_ms,
                "haltMs": rule.halt_s * 1000,
            }
            for rule in market.breaker_rules
        ],
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": filters(market),
        "permissions": [],
        "permissionSets": [list(PERMISSIONS)],
        "defaultSelfTradePreventionMode": StpMode.EXPIRE_TAKER.name,
        "allowedSelfTradePreventionModes": list(STP_MODES),
    }


def filters(market: Market) -> list[dict[str, Any]]:
    """A value of 0 disables that rule, as in the dialect."""
    found: list[dict[str, Any]] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": market.price(market.min_price_ticks),
            "maxPrice": market.price(market.max_price_ticks),
            "tickSize": format_units(market.tick_size),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": market.quantity(market.min_lots),
            "maxQty": market.quantity(market.max_lots),
            "stepSize": format_units(market.lot_size),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": NOTHING,
            "maxQty": market.quantity(market.market_max_lots),
            "stepSize": NOTHING,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": format_units(market.min_notional_units),
            "applyMinToMarket": True,
            "maxNotional": format_units(market.max_notional_units or AMOUNT_MAX),
            "applyMaxToMarket": True,
            "avgPriceMins": 0,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": _multiplier(market.bid_up_bp),
            "bidMultiplierDown": _multiplier(market.bid_down_bp),
            "askMultiplierUp": _multiplier(market.ask_up_bp),
            "askMultiplierDown": _multiplier(market.ask_down_bp),
            "avgPriceMins": 0,
        },
    ]
    found.append({"filterType": "ICEBERG_PARTS", "limit": PARTS_MAX})
    found.append(
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": TRAILING_BIPS_MIN,
            "maxTrailingAboveDelta": TRAILING_BIPS_MAX,
            "minTrailingBelowDelta": TRAILING_BIPS_MIN,
            "maxTrailingBelowDelta": TRAILING_BIPS_MAX,
        }
    )
    if market.max_open_orders:
        found.append({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": market.max_open_orders})
    if market.max_conditional_orders:
        found.append({"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": market.max_conditional_orders})
    if market.max_order_lists:
        found.append({"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": market.max_order_lists})
    if market.max_iceberg_orders:
        found.append({"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": market.max_iceberg_orders})
    if market.max_order_amends:
        found.append({"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": market.max_order_amends})
    return found


def _multiplier(basis_points: int) -> str:
    assert BASIS_POINTS == 10**4, "four decimals"
    return format_units(basis_points, 4)
