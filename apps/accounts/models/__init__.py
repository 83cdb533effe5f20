"""Users, their trading accounts with families and allocation rules, API keys, listen keys, tickets, links, devices,
sessions, log-ins, second factors."""

from apps.accounts.models.attempts import PasswordAttempt
from apps.accounts.models.devices import Device, OpenSession
from apps.accounts.models.factors import RecoveryCode, TotpFactor
from apps.accounts.models.families import AccountSettings, AllocationChange, AllocationRule, FamilyChange
from apps.accounts.models.history import LogIn
from apps.accounts.models.keys import ApiKey
from apps.accounts.models.links import MailedLink
from apps.accounts.models.listenkeys import ListenKey
from apps.accounts.models.locklinks import LockLink
from apps.accounts.models.lostfactor import LostFactorCase
from apps.accounts.models.passkeys import PasskeyChallenge
from apps.accounts.models.tickets import TradingTicket
from apps.accounts.models.users import TradingAccount, User

__all__ = [
    "AccountSettings",
    "AllocationChange",
    "AllocationRule",
    "ApiKey",
    "Device",
    "FamilyChange",
    "ListenKey",
    "LockLink",
    "LogIn",
    "LostFactorCase",
    "MailedLink",
    "OpenSession",
    "PasskeyChallenge",
    "PasswordAttempt",
    "RecoveryCode",
    "TotpFactor",
    "TradingAccount",
    "TradingTicket",
    "User",
]
