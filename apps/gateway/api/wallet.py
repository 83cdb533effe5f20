"""The part of /sapi that clients need before there are wallets, and the empty answers of markets we do not have."""

from typing import TYPE_CHECKING, Any, Final

from apps.common.amounts import format_units
from apps.gateway import commission, publicanswers
from apps.gateway.dialect import NOTHING
from apps.gateway.params import Flag, Symbol
from apps.gateway.registry import Call, Security, endpoint
from apps.streams.messages import SCALE

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway

VALUED_IN: Final = "BTC"


@endpoint("GET", "/sapi/v1/capital/config/getall", weight=10, security=Security.USER_DATA)
async def all_coins(gateway: "Gateway", call: Call) -> list[dict[str, Any]]:
    """Every asset with the caller's balance. There are no networks, and nothing can be deposited or withdrawn yet."""
    balances = await gateway.reads.balances(call.account_id)
    return [
        {
            "coin": asset.code,
            "depositAllEnable": False,
            "withdrawAllEnable": False,
            "name": asset.name,
            "free": format_units(balances[asset.id][0]),
            "locked": format_units(balances[asset.id][1]),
            "freeze": NOTHING,
            "withdrawing": NOTHING,
            "ipoing": NOTHING,
            "ipoable": NOTHING,
            "storage": NOTHING,
            "isLegalMoney": False,
            "trading": True,
            "networkList": [],
        }
        for asset in gateway.markets.assets.values()
    ]


@endpoint("GET", "/sapi/v1/system/status")
async def system_status(gateway: "Gateway", call: Call) -> dict[str, Any]:
    """1 while the engine takes no orders."""
    if gateway.monitor.alive():
        return {"status": 0, "msg": "normal"}
    return {"status": 1, "msg": "system_maintenance"}


@endpoint(
    "GET", "/sapi/v1/asset/tradeFee", security=Security.USER_DATA, params=(Symbol("symbol"),), error_codes=(-1121,)
)
async def trade_fees(gateway: "Gateway", call: Call) -> list[dict[str, str]]:
    """Of one market or of all, for the account's tier."""
    symbol = call.values["symbol"]
    markets = list(gateway.markets.by_symbol.values()) if symbol is None else [gateway.markets.get(symbol)]
    tier = await gateway.reads.fee_tier(call.account_id)
    fees = [(market.symbol, *market.fees[min(tier, len(market.fees) - 1)]) for market in markets]
    return [
        {"symbol": name, "makerCommission": commission.rate(maker), "takerCommission": commission.rate(taker)}
        for name, maker, taker in fees
    ]


@endpoint("GET", "/sapi/v1/asset/assetDetail", security=Security.USER_DATA, params=(Symbol("asset"),))
async def asset_details(gateway: "Gateway", call: Call) -> dict[str, dict[str, Any]]:
    """Of one asset or of all; an unknown one has none. Nothing can be deposited or withdrawn yet."""
    wanted = call.values["asset"]
    return {
        asset.code: {
            "minWithdrawAmount": NOTHING,
            "depositStatus": False,
            "withdrawFee": NOTHING,
            "withdrawStatus": False,
        }
        for asset in gateway.markets.assets.values()
        if wanted is None or asset.code == wanted
    }


@endpoint(
    "POST",
    "/sapi/v3/asset/getUserAsset",
    weight=5,
    security=Security.USER_DATA,
    params=(Symbol("asset"), Flag("needBtcValuation", default=False)),
)
async def user_assets(gateway: "Gateway", call: Call) -> list[dict[str, str]]:
    """What the account has of one asset, or every asset that it has any of."""
    balances, wanted = await gateway.reads.balances(call.account_id), call.values["asset"]
    found = []
    for asset_id, (available, held) in sorted(balances.items()):
        code = gateway.markets.asset_code(asset_id)
        if code != wanted if wanted is not None else not available + held:
            continue
        value = _value(gateway, code, available + held) if call.values["needBtcValuation"] else 0
        found.append(
            {
                "asset": code,
                "free": format_units(available),
                "locked": format_units(held),
                "freeze": NOTHING,
                "withdrawing": NOTHING,
                "ipoable": NOTHING,
                "btcValuation": format_units(value),
            }
        )
    return found


def _value(gateway: "Gateway", code: str, units: int) -> int:
    """In bitcoin at last prices, through one other asset at most; 0 where no market leads there."""
    if code == VALUED_IN or not units:
        return units
    for market in gateway.markets.by_symbol.values():
        state = gateway.public.known(market)
        if state is None:
            continue
        price = publicanswers.last_price_ticks(market, state) * market.tick_size
        if {market.base.code, market.quote.code} == {code, VALUED_IN}:
            return units * price // SCALE if market.base.code == code else units * SCALE // price
    for market in gateway.markets.by_symbol.values():
        state = gateway.public.known(market)
        against = gateway.markets.by_symbol.get(f"{VALUED_IN}{market.quote.code}")
        other = gateway.public.known(against) if against is not None else None
        if market.base.code == code and state is not None and against is not None and other is not None:
            price = publicanswers.last_price_ticks(market, state) * market.tick_size
            return units * price // (publicanswers.last_price_ticks(against, other) * against.tick_size)
    return 0


@endpoint("GET", "/sapi/v1/account/apiRestrictions", security=Security.USER_DATA)
async def key_rights(gateway: "Gateway", call: Call) -> dict[str, Any]:
    """What the key that asks may do."""
    assert call.credential is not None, "the endpoint has security"
    shown: dict[str, Any] = {
        "ipRestrict": bool(call.credential.networks),
        "createTime": await gateway.reads.key_created_ms(call.credential.id),
        "enableReading": call.credential.can_read,
        "enableWithdrawals": call.credential.can_withdraw and not call.credential.frozen,
        "enableInternalTransfer": False,
        "enableMargin": False,
        "enableFutures": False,
        "permitsUniversalTransfer": False,
        "enableVanillaOptions": False,
        "enableFixApiTrade": False,
        "enableFixReadOnly": False,
        "enableSpotAndMarginTrading": call.credential.can_trade and not call.credential.frozen,
        "enablePortfolioMarginTrading": False,
    }
    if call.credential.expires_us is not None:
        shown["tradingAuthorityExpirationTime"] = call.credential.expires_us // 1000
    return shown


@endpoint("GET", "/sapi/v1/account/status", security=Security.USER_DATA)
async def account_status(gateway: "Gateway", call: Call) -> dict[str, str]:
    """A user who is switched off has no key that works, so whoever may ask is not restricted."""
    return {"data": "Normal"}


@endpoint("GET", "/sapi/v1/spot/delist-schedule", weight=100)
async def delistings(gateway: "Gateway", call: Call) -> list[Any]:
    """Markets close when staff closes them; nothing is scheduled ahead."""
    return []


@endpoint("GET", "/sapi/v1/margin/allPairs", security=Security.NONE)
async def margin_pairs(gateway: "Gateway", call: Call) -> list[Any]:
    return []


@endpoint("GET", "/sapi/v1/margin/isolated/allPairs", security=Security.NONE)
async def isolated_margin_pairs(gateway: "Gateway", call: Call) -> list[Any]:
    return []


@endpoint("GET", "/fapi/v1/exchangeInfo")
async def futures(gateway: "Gateway", call: Call) -> dict[str, Any]:
    return {"symbols": []}


@endpoint("GET", "/dapi/v1/exchangeInfo")
async def coin_futures(gateway: "Gateway", call: Call) -> dict[str, Any]:
    return {"symbols": []}
