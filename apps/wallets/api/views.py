"""Balances of the caller's accounts, and transfers between the accounts of one user (requirement A6)."""

from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.accounts import seen_account, seen_accounts
from apps.accounts.api.deciding import facts_about, still_asking
from apps.accounts.api.shapes import ACCOUNT
from apps.accounts.rules import Action
from apps.ledger.models import Balance
from apps.markets.models import Asset
from apps.outbox.models import OutboxRow
from apps.outbox.policy import ANSWER_WAIT_S
from apps.outbox.selectors import wait_done
from apps.wallets.api.shapes import BalanceOf, Transfer, TransferSent
from apps.wallets.errors import UnknownAsset
from apps.wallets.models import InternalTransfer
from apps.wallets.selectors import answer_of, totals
from apps.wallets.services import request_transfer
from apps.web.api import paging
from apps.web.api.access import Access, caller_of
from apps.web.api.parameters import number_in
from apps.web.api.problems import Refused
from apps.web.api.views import ApiView


class BalancesView(ApiView):
    access = {"GET": Access.READ}
    parameters = (*paging.PARAMETERS, ACCOUNT)

    @extend_schema(operation_id="list_balances", responses=paging.pages(BalanceOf))
    def get(self, request: Request) -> Response:
        """By asset, those of which there is any, over all accounts that the caller sees, or of one `account`; as
        settled. The cursor is the number of an asset."""
        caller, account_id = caller_of(request), number_in(self.query, ACCOUNT.name)
        accounts = list(seen_accounts(caller).order_by("-is_main", "pk"))
        if account_id is not None:
            accounts = [seen_account(caller, account_id)]
        wanted = self.wanted_page()
        held = Balance.objects.filter(
            shard=settings.SHARD, account_id__in=[each.pk for each in accounts], asset_id=OuterRef("pk")
        )
        some = held.exclude(available_units=0, held_units=0)
        assets = paging.page_of(Asset.objects.filter(Exists(some)), wanted)
        found = totals(accounts=accounts, asset_ids=[asset.pk for asset in assets.items])
        return Response(paging.shown(paging.Page(found, assets.next), BalanceOf))


class TransfersView(ApiView):
    access = {"GET": Access.READ_ALL, "POST": Access.TRADE_ALL}
    parameters = paging.PARAMETERS

    @extend_schema(operation_id="list_transfers", responses=paging.pages(Transfer))
    def get(self, request: Request) -> Response:
        """Transfers between the user's accounts, newest first."""
        page = paging.page_of(_own(request), self.wanted_page(), newest_first=True)
        return Response(paging.shown(page._replace(items=_told(page.items)), Transfer))

    @extend_schema(operation_id="make_transfer", request=TransferSent, responses={201: Transfer})
    def post(self, request: Request) -> Response:
        """Moves what is available in one account to another of the same user. Waits up to two seconds for what the
        engine says; a `state` of waiting says that it has not. A session needs a confirmation of the last 15 minutes.
        """
        sent = self.sent(request, TransferSent)
        asset = Asset.objects.filter(code=sent["asset"]).first()
        if asset is None:
            raise UnknownAsset("There is no such asset.")
        with still_asking(request):
            made = request_transfer(
                facts=facts_about(request, Action.TRANSFER),
                from_account_id=sent["from_account"],
                to_account_id=sent["to_account"],
                asset_id=asset.pk,
                amount_units=sent["amount"],
                client_id=sent["client_id"],
            )
        wait_done(OutboxRow.objects.get(key=made.outbox_key), ANSWER_WAIT_S)
        (told,) = _told([made])
        return Response(Transfer(told).data, 201)


class TransferView(ApiView):
    access = {"GET": Access.READ_ALL}

    @extend_schema(operation_id="transfer", responses=Transfer)
    def get(self, request: Request, transfer_id: int) -> Response:
        """One transfer, and what became of it."""
        found = _own(request).filter(pk=transfer_id).first()
        if found is None:
            raise Refused("NO_SUCH_TRANSFER", "You have no such transfer.")
        (told,) = _told([found])
        return Response(Transfer(told).data)


def _own(request: Request) -> QuerySet[InternalTransfer]:
    return InternalTransfer.objects.filter(owner_id=caller_of(request).user_id)


def _told(transfers: Any) -> list[dict[str, Any]]:
    """With what the engine said. Two queries, however many."""
    rows = {row.key: row for row in OutboxRow.objects.filter(key__in=[each.outbox_key for each in transfers])}
    codes = dict(Asset.objects.filter(pk__in={each.asset_id for each in transfers}).values_list("pk", "code"))
    told = []
    for each in transfers:
        answer = answer_of(rows[each.outbox_key])
        told.append(
            {
                "id": each.pk,
                "client_id": each.client_id,
                "from_account_id": each.from_account_id,
                "to_account_id": each.to_account_id,
                "asset": codes[each.asset_id],
                "amount_units": each.amount_units,
                "requested_at": each.requested_at,
                "state": answer.state,
                "reason": answer.why,
            }
        )
    return told
