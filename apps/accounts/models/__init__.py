"""Users, their trading accounts, API keys, trading tickets, and attempts to prove a password."""

from apps.accounts.models.attempts import PasswordAttempt
from apps.accounts.models.keys import ApiKey
from apps.accounts.models.tickets import TradingTicket
from apps.accounts.models.users import TradingAccount, User

__all__ = ["ApiKey", "PasswordAttempt", "TradingAccount", "TradingTicket", "User"]
