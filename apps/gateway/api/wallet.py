"""The part of /sapi that clients need before there are wallets, and the empty answers of markets we do not have."""

from typing import TYPE_CHECKING, Any

from apps.common.amounts import format_units
from apps.gateway.dialect import NOTHING
from apps.gateway.registry import Call, Security, endpoint

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway


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
