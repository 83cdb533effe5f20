"""The page of balances over all accounts of a user, and of transfers between them (requirement A6)."""

from typing import Final, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.accounts.rules import Action
from apps.accounts.selectors import accounts_of
from apps.accounts.stepup import answer_to, decision_on, facts_of
from apps.accounts.views.forms import form_status
from apps.common.amounts import format_units
from apps.common.errors import DomainError
from apps.markets.models import Asset
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.policy import ANSWER_WAIT_S
from apps.outbox.selectors import wait_done
from apps.wallets.errors import ClientIdReused
from apps.wallets.forms import TransferForm
from apps.wallets.models import InternalTransfer
from apps.wallets.selectors import answer_of, history, totals
from apps.wallets.services import request_transfer

_CURSOR_DIGITS_MAX: Final = 18


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
        return answer_to(request, decision, request.path)
    form = TransferForm(request.POST or None, accounts=accounts, assets=assets)
    if request.method == "POST" and form.is_valid():
        sent = form.cleaned_data
        try:
            made = request_transfer(
                facts=facts_of(request, Action.TRANSFER),
                from_account_id=sent["from_account"],
                to_account_id=sent["to_account"],
                asset_id=sent["asset"],
                amount_units=sent["amount"],
                client_id=sent["client_id"],
            )
        except ClientIdReused:
            form.add_error(None, "This form was sent already, with other values. Load the page again to transfer more.")
        except DomainError as error:
            form.add_error(None, error.message)
        else:
            _tell(request, made)
            return redirect("wallets:balances")
    context = {
        "form": form,
        "confirmed": decision.is_allowed,
        "accounts": accounts,
        "totals": totals(accounts=accounts),
        "history": history(user_id=user.pk, accounts=accounts, before=_cursor(request)),
    }
    return render(request, "wallets/balances.html", context, status=form_status(form))


def _cursor(request: HttpRequest) -> int | None:
    text = request.GET.get("before")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _CURSOR_DIGITS_MAX):
        raise Http404("There is no such page of the history.")
    return int(text)


def _tell(request: HttpRequest, made: InternalTransfer) -> None:
    """What became of it, once the engine has answered."""
    answer = answer_of(wait_done(OutboxRow.objects.get(key=made.outbox_key), ANSWER_WAIT_S))
    code = Asset.objects.get(pk=made.asset_id).code
    what = f"{format_units(made.amount_units)} {code} from account {made.from_account_id} to {made.to_account_id}"
    if answer.state == OutboxState.DONE:
        messages.success(request, f"Transferred {what}.")
    elif answer.state == OutboxState.REFUSED:
        messages.error(request, f"Not transferred: {what}. The reason: {answer.why}. Nothing was moved.")
    else:
        messages.warning(request, f"On its way: {what}. The list below shows what becomes of it.")
