"""The master account and its sub-accounts: list, make, name, freeze (requirement A6)."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.deciding import allowed_or_refused, still_asking
from apps.accounts.api.shapes import Account, AccountSent
from apps.accounts.errors import NoTradingAccount
from apps.accounts.models import TradingAccount
from apps.accounts.rules import Action
from apps.accounts.selectors import own_account
from apps.accounts.services.subaccounts import (
    create_sub_account,
    freeze_sub_account,
    rename_sub_account,
    unfreeze_sub_account,
)
from apps.web.api import paging
from apps.web.api.access import Access, Caller, caller_of
from apps.web.api.fields import Nothing
from apps.web.api.views import ApiView


def seen_accounts(caller: Caller) -> QuerySet[TradingAccount]:
    """Those that the caller sees: all of the user, or that of a sub-account's key."""
    found = TradingAccount.objects.filter(owner_id=caller.user_id)
    return found if caller.only_account_id is None else found.filter(pk=caller.only_account_id)


def seen_account(caller: Caller, account_id: int) -> TradingAccount:
    """NoTradingAccount for an unknown number, and for one that the caller does not see (threat-T13)."""
    if caller.only_account_id not in (None, account_id):
        raise NoTradingAccount("You have no such account.")
    return own_account(user_id=caller.user_id, account_id=account_id)


class AccountsView(ApiView):
    access = {"GET": Access.READ, "POST": Access.TRADE_ALL}
    parameters = paging.PARAMETERS

    @extend_schema(operation_id="list_accounts", responses=paging.pages(Account))
    def get(self, request: Request) -> Response:
        """The master account and the sub-accounts, in the order in which they were made."""
        page = paging.page_of(seen_accounts(caller_of(request)), self.wanted_page())
        return Response(paging.shown(page, Account))

    @extend_schema(operation_id="make_sub_account", request=AccountSent, responses={201: Account})
    def post(self, request: Request) -> Response:
        """A new sub-account, usable at once."""
        sent = self.sent(request, AccountSent)
        with still_asking(request):
            made = create_sub_account(user_id=caller_of(request).user_id, label=sent["label"])
        return Response(Account(made).data, 201)


class AccountView(ApiView):
    access = {"GET": Access.READ, "PATCH": Access.SESSION}

    @extend_schema(operation_id="account", responses=Account)
    def get(self, request: Request, account_id: int) -> Response:
        """One account."""
        return Response(Account(seen_account(caller_of(request), account_id)).data)

    @extend_schema(operation_id="rename_sub_account", request=AccountSent, responses=Account)
    def patch(self, request: Request, account_id: int) -> Response:
        """Another name for a sub-account."""
        sent, user_id = self.sent(request, AccountSent), caller_of(request).user_id
        with still_asking(request):
            rename_sub_account(user_id=user_id, account_id=account_id, label=sent["label"])
        return Response(Account(own_account(user_id=user_id, account_id=account_id)).data)


class FreezeView(ApiView):
    access = {"POST": Access.TRADE_ALL}

    @extend_schema(operation_id="freeze_sub_account", request=Nothing, responses=Account)
    def post(self, request: Request, account_id: int) -> Response:
        """From now on, within a second, the account takes cancels and no orders."""
        self.sent(request, Nothing)
        user_id = caller_of(request).user_id
        with still_asking(request):
            freeze_sub_account(user_id=user_id, account_id=account_id)
        return Response(Account(own_account(user_id=user_id, account_id=account_id)).data)


class UnfreezeView(ApiView):
    access = {"POST": Access.SESSION}

    @extend_schema(operation_id="unfreeze_sub_account", request=Nothing, responses=Account)
    def post(self, request: Request, account_id: int) -> Response:
        """It takes orders again. Needs a confirmation of the last 15 minutes."""
        self.sent(request, Nothing)
        user_id = caller_of(request).user_id
        own_account(user_id=user_id, account_id=account_id)
        allowed_or_refused(request, Action.UNFREEZE)
        with still_asking(request):
            unfreeze_sub_account(user_id=user_id, account_id=account_id)
        return Response(Account(own_account(user_id=user_id, account_id=account_id)).data)
