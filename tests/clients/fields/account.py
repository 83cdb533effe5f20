"""Answers about the account, its keys and its coins."""

from typing import Final

from tests.clients.fields.kinds import ASSET, EMPTY, FLAG, INT, MONEY, SYMBOL, TEXT, TIME, Named, any_of, words
from tests.clients.fields.market import FILTERS
from tests.clients.fields.orders import DISCOUNT, FULL_RATES

BALANCE: Final = {"asset": ASSET, "free": MONEY, "locked": MONEY}
ACCOUNT: Final = {
    "makerCommission": INT,
    "takerCommission": INT,
    "buyerCommission": INT,
    "sellerCommission": INT,
    "commissionRates": FULL_RATES,
    "canTrade": FLAG,
    "canWithdraw": FLAG,
    "canDeposit": FLAG,
    "brokered": FLAG,
    "requireSelfTradePrevention": FLAG,
    "preventSor": FLAG,
    "updateTime": TIME,
    "accountType": words("SPOT"),
    "balances": [BALANCE],
    "permissions": [TEXT],
    "uid": INT,
}
COMMISSION: Final = {
    "symbol": SYMBOL,
    "standardCommission": FULL_RATES,
    "specialCommission": FULL_RATES,
    "taxCommission": FULL_RATES,
    "discount": DISCOUNT,
}
COINS: Final = [
    {
        "coin": ASSET, "name": TEXT, "depositAllEnable": FLAG, "withdrawAllEnable": FLAG, "free": MONEY,
        "locked": MONEY, "freeze": MONEY, "withdrawing": MONEY, "ipoing": MONEY, "ipoable": MONEY, "storage": MONEY,
        "isLegalMoney": FLAG, "trading": FLAG, "networkList": [EMPTY],
    }
]  # fmt: skip
TRADE_FEES: Final = [{"symbol": SYMBOL, "makerCommission": MONEY, "takerCommission": MONEY}]
USER_ASSETS: Final = [
    {
        "asset": ASSET, "free": MONEY, "locked": MONEY, "freeze": MONEY, "withdrawing": MONEY, "ipoable": MONEY,
        "btcValuation": MONEY,
    }
]  # fmt: skip
API_RESTRICTIONS: Final = {
    "ipRestrict": FLAG, "createTime": TIME, "enableReading": FLAG, "enableWithdrawals": FLAG,
    "enableInternalTransfer": FLAG, "enableMargin": FLAG, "enableFutures": FLAG, "permitsUniversalTransfer": FLAG,
    "enableVanillaOptions": FLAG, "enableFixApiTrade": FLAG, "enableFixReadOnly": FLAG,
    "enableSpotAndMarginTrading": FLAG, "enablePortfolioMarginTrading": FLAG, "tradingAuthorityExpirationTime?": TIME,
}  # fmt: skip
_ASSET_DETAIL: Final = {
    "minWithdrawAmount": MONEY, "depositStatus": FLAG, "withdrawFee": MONEY, "withdrawStatus": FLAG,
}  # fmt: skip
ASSET_DETAILS: Final = Named(ASSET, _ASSET_DETAIL)
MY_FILTERS: Final = {
    "exchangeFilters": [EMPTY], "symbolFilters": [any_of(*FILTERS.values())], "assetFilters": [EMPTY],
}  # fmt: skip
ACCOUNT_STATUS: Final = {"data": TEXT}
SYSTEM_STATUS: Final = {"status": INT, "msg": words("normal system_maintenance")}
