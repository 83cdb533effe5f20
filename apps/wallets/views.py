"""The page of balances over all accounts of a user, and of transfers between them (requirement A6)."""

from typing import Final, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.begun import typed_before
from apps.accounts.forms import Throttled
from apps.accounts.models import User
from apps.accounts.rules import Action
from apps.accounts.selectors import accounts_of
from apps.accounts.services.display import choose_value_asset
from apps.accounts.services.ending import still_in
from apps.accounts.stepup import answer_to, decision_on, facts_of
from apps.accounts.views.forms import form_page
from apps.common.amounts import for_reading, format_units
from apps.common.errors import DomainError
from apps.markets.models import Asset
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.policy import ANSWER_WAIT_S
from apps.outbox.selectors import wait_done
from apps.wallets.errors import ClientIdReused, TooManyTransfers
from apps.wallets.forms import TransferForm, ValueForm
from apps.wallets.models import InternalTransfer
from apps.wallets.selectors import answer_of, history, totals, value_totals
from apps.wallets.services import request_transfer
from apps.web.cursors import read_cursor
from apps.web.errors import SessionEnded

# What is kept of the form while its user confirms.
TRANSFER_FIELDS: Final = ("from_account", "to_account", "asset", "amount")


@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def balances_page(request: HttpRequest) -> HttpResponse:
    """Everything the user has, and with POST a transfer. Its answer is waited for, at most ANSWER_WAIT_S.

    Who did not confirm to be there lately can look, and is asked to before a transfer.
    """
    user = cast(User, request.user)
    accounts, assets = list(accounts_of(user_id=user.pk)), list(Asset.objects.all())
    decision = decision_on(request, Action.TRANSFER)
    if request.method == "POST" and not decision.is_allowed:
        return answer_to(request, decision, request.path, press="Transfer", keep=TRANSFER_FIELDS)
    chosen = {"asset": request.GET.get("asset", "")} | (typed_before(request) if decision.is_allowed else {})
    form = TransferForm(request.POST or None, accounts=accounts, assets=assets, initial=chosen)
    if request.method == "POST" and form.is_valid():
        sent = form.cleaned_data
        try:
            with still_in(request):
                made = request_transfer(
                    facts=facts_of(request, Action.TRANSFER),
                    from_account_id=sent["from_account"],
                    to_account_id=sent["to_account"],
                    asset_id=sent["asset"],
                    amount_units=sent["amount"],
                    client_id=sent["client_id"],
                )
        except SessionEnded:
            raise
        except ClientIdReused:
            form.add_error(None, "This form was sent already, with other values. Load the page again to transfer more.")
        except TooManyTransfers as error:
            form.add_error(None, Throttled(error))
        except DomainError as error:
            form.add_error(None, error.message)
        else:
            _tell(request, made)
            # Who transfers once more rarely means another asset: the form begins with this one again.
            return redirect(f"{reverse('wallets:balances')}?{urlencode({'asset': made.asset_id})}")
    found = totals(accounts=accounts)
    value_in = next((asset for asset in assets if asset.code == user.value_asset), None)
    context = {
        "form": form,
        "confirmed": decision.is_allowed,
        "accounts": accounts,
        "history": history(user_id=user.pk, accounts=accounts, before=read_cursor(request.GET.get("before"))),
        "totals": found,
        "worth": None if value_in is None else value_totals(found=found, asset=value_in),
        "value_form": ValueForm(assets=assets, chosen=user.value_asset),
    }
    return form_page(request, "wallets/balances.html", context, form)


@login_required
@never_cache
@csrf_protect
@require_POST
def value_in_action(request: HttpRequest) -> HttpResponse:
    """In which asset values are shown from now on."""
    form = ValueForm(request.POST, assets=list(Asset.objects.all()))
    if not form.is_valid():
        messages.error(request, "Choose an asset that is listed here. Nothing was changed.")
    else:
        choose_value_asset(user_id=cast(User, request.user).pk, code=form.cleaned_data["asset"])
    return redirect("wallets:balances")


def _tell(request: HttpRequest, made: InternalTransfer) -> None:
    """What became of it, once the engine has answered."""
    answer = answer_of(wait_done(OutboxRow.objects.get(key=made.outbox_key), ANSWER_WAIT_S))
    code = Asset.objects.get(pk=made.asset_id).code
    amount = for_reading(format_units(made.amount_units))
    what = f"{amount} {code} from account {made.from_account_id} to {made.to_account_id}"
    if answer.state == OutboxState.DONE:
        messages.success(request, f"Transferred {what}.")
    elif answer.state == OutboxState.REFUSED:
        messages.error(request, f"Not transferred: {what}. The reason: {answer.why}. Nothing was moved.")
    else:
        messages.warning(request, f"On its way: {what}. The list below shows what becomes of it.")
