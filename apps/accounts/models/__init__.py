"""Users, their trading accounts, API keys and trading tickets."""

from apps.accounts.models.keys import ApiKey
from apps.accounts.models.tickets import TradingTicket
from apps.accounts.models.users import TradingAccount, User

__all__ = ["ApiKey", "TradingAccount", "TradingTicket", "User"]
