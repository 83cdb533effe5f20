"""The pages of a user's allocation rules (T12): what block orders of the master account may name."""

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import AllocationChange, AllocationRule, User
from apps.accounts.selectors import accounts_of, allocation_rules_of, main_account, newest_changes
from apps.accounts.services.allocations import remove_allocation_rule, set_allocation_rule
from apps.accounts.services.ending import still_in
from apps.accounts.views.forms import form_page
from apps.audit.actors import ActorKind, named, user_text
from apps.common.errors import DomainError
from apps.markets.models import Market
from apps.orders.allocationforms import AllocationForm, lines_of
from apps.orders.allocationpreview import Part, preview
from apps.outbox.admin import answer_of
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.policy import ANSWER_WAIT_S
from apps.outbox.selectors import wait_done
from apps.streams.kinds import AllocationMethod
from apps.web.errors import SessionEnded

REASON = "Asked for by the owner of the account."


@dataclass(frozen=True, slots=True)
class Version:
    """What was asked of a rule. `by`: you, or staff; `among`: what was to stand in it; `answer`: the engine's."""

    change: AllocationChange
    by: str
    among: str
    answer: str


@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def rules_page(request: HttpRequest) -> HttpResponse:
    """The rules that stand; and with POST, the preview of one or a new one."""
    return _page(request, None)


@login_required
@never_cache
@csrf_protect
@require_http_methods(["GET", "POST"])
def rule_page(request: HttpRequest, rule_id: int) -> HttpResponse:
    """One rule with its versions; and with POST, the preview of other content, or that content."""
    return _page(request, rule_id)


@login_required
@never_cache
@csrf_protect
@require_POST
def remove_action(request: HttpRequest, rule_id: int) -> HttpResponse:
    user = cast(User, request.user)
    main = main_account(user_id=user.pk)
    if not allocation_rules_of(account_id=main.pk).filter(rule_id=rule_id).exists():
        raise Http404("You have no such rule.")
    try:
        with still_in(request):
            asked = remove_allocation_rule(
                account_id=main.pk, rule_id=rule_id, reason=REASON, requested_by=user_text(user.pk)
            )
    except SessionEnded:
        raise
    except DomainError as error:
        messages.error(request, error.message)
    else:
        _tell(request, asked, f"Rule {rule_id} is removed.")
    return redirect("orders:allocation-rules")


def _page(request: HttpRequest, rule_id: int | None) -> HttpResponse:
    user = cast(User, request.user)
    accounts, main = list(accounts_of(user_id=user.pk)), main_account(user_id=user.pk)
    rules = allocation_rules_of(account_id=main.pk)
    rule, versions = None, list[Version]()
    if rule_id is not None:
        rule, versions = rules.filter(rule_id=rule_id).first(), _versions(main.pk, rule_id)
        if rule is None and not versions:
            raise Http404("You have no such rule.")
    form = AllocationForm(
        request.POST or None,
        accounts=accounts,
        markets=list(Market.objects.all()),
        initial=_initial(rule, [each.pk for each in accounts if not each.is_main]),
    )
    parts: list[Part] | None = None
    if request.method == "POST" and form.is_valid():
        try:
            if form.wants_preview:
                parts = _preview(form)
            else:
                with still_in(request):
                    asked = _ask(user, main.pk, rule_id, form.cleaned_data)
                _tell(request, asked, f"Rule {asked.rule_id} is set.")
                return redirect("orders:allocation-rule", asked.rule_id)
        except SessionEnded:
            raise
        except DomainError as error:
            form.add_error(None, error.message)
    context = {
        "form": form, "accounts": accounts, "rules": _shown(rules) if rule_id is None else [], "rule_id": rule_id,
        "rule": rule, "versions": versions, "parts": parts,
    }  # fmt: skip
    return form_page(request, "orders/allocation_rules.html", context, form)


def _preview(form: AllocationForm) -> list[Part]:
    sent: dict[str, Any] = form.cleaned_data
    names = ("method", "accounts", "weights_bp", "requested_units", "quantity_units", "filled_units")
    return preview(market=form.markets[sent["market"]], **{name: sent[name] for name in names})


def _ask(user: User, account_id: int, rule_id: int | None, sent: dict[str, Any]) -> AllocationChange:
    return set_allocation_rule(
        account_id=account_id,
        rule_id=rule_id,
        method=sent["method"],
        accounts=sent["accounts"],
        weights_bp=sent["weights_bp"],
        reason=REASON,
        requested_by=user_text(user.pk),
    )


def _tell(request: HttpRequest, asked: AllocationChange, done: str) -> None:
    """What the engine said; waits for it, at most ANSWER_WAIT_S."""
    row = wait_done(OutboxRow.objects.get(key=asked.outbox_key), ANSWER_WAIT_S)
    if row.state == OutboxState.DONE:
        messages.success(request, done)
    elif row.state == OutboxState.REFUSED:
        messages.error(request, f"The engine {answer_of(row)}. Nothing was changed.")
    else:
        messages.warning(request, "This is on its way to the engine. The versions below show its answer.")


def _versions(account_id: int, rule_id: int) -> list[Version]:
    changes = list(newest_changes(account_id=account_id, rule_id=rule_id))
    rows = {row.key: row for row in OutboxRow.objects.filter(key__in=[change.outbox_key for change in changes])}
    return [
        Version(
            change,
            by="you" if named(change.requested_by).kind is ActorKind.USER else "staff",
            among=", ".join(lines_of(change.accounts, change.weights_bp)),
            answer=answer_of(rows[change.outbox_key]),
        )
        for change in changes
    ]


def _shown(rules: QuerySet[AllocationRule]) -> list[tuple[AllocationRule, str]]:
    """Each rule and what stands in it, in words."""
    return [(rule, ", ".join(lines_of(rule.accounts, rule.weights_bp))) for rule in rules]


def _initial(rule: AllocationRule | None, sub_accounts: list[int]) -> dict[str, Any]:
    """The rule that stands; for a new one equal parts of all sub-accounts."""
    if rule is None:
        return {"method": AllocationMethod.EQUAL.value, "shares": "\n".join(map(str, sub_accounts))}
    return {"method": rule.method, "shares": "\n".join(lines_of(rule.accounts, rule.weights_bp))}
