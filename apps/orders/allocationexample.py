"""What a block order by a rule that stands would give each account: the preview of the trading page, as JSON (T12)."""

from collections.abc import Sequence
from typing import cast

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.accounts.models import AllocationRule, User
from apps.accounts.selectors import allocation_rules_of, main_account
from apps.common.amounts import AmountError, parse_decimal
from apps.common.errors import DomainError
from apps.markets.models import Market
from apps.orders.allocationpreview import Part, preview
from apps.orders.errors import InvalidExample


@login_required
@never_cache
@require_safe
def example(request: HttpRequest, rule_id: int) -> JsonResponse:
    """{"parts": [{"account", "share", "filled"}]} in the order of the rule, amounts as decimal texts.

    Asked with `symbol`, `quantity` of the order, `filled` of it and, for a rule that divides as each order says,
    `asked` once for each of its accounts. 400 {"error": {"code", "message"}} for an order that is none.
    """
    main = main_account(user_id=cast(User, request.user).pk)
    rule = allocation_rules_of(account_id=main.pk).filter(rule_id=rule_id).first()
    if rule is None:
        raise Http404("You have no such rule.")
    try:
        parts = _parts(request, rule)
    except DomainError as error:
        return JsonResponse({"error": {"code": error.code, "message": error.message}}, status=400)
    shown = [{"account": part.account_id, "share": part.share, "filled": part.filled} for part in parts]
    return JsonResponse({"parts": shown})


def _parts(request: HttpRequest, rule: AllocationRule) -> Sequence[Part]:
    market = Market.objects.filter(shard=settings.SHARD, symbol=request.GET.get("symbol", "")).first()
    if market is None:
        raise InvalidExample("'symbol' names no market.")
    quantity, filled = (_units(name, request.GET.get(name, "")) for name in ("quantity", "filled"))
    if not 0 < quantity >= filled:
        raise InvalidExample("'quantity' must be above 0, and 'filled' no more than that.")
    asked = [_units("asked", text) for text in request.GET.getlist("asked")]
    if asked and rule.method != AllocationRule.Method.PRO_RATA:
        raise InvalidExample("This rule does not divide by what is asked for: leave out 'asked'.")
    return preview(
        market=market, method=rule.method, accounts=rule.accounts, weights_bp=rule.weights_bp,
        requested_units=asked, quantity_units=quantity, filled_units=filled,
    )  # fmt: skip


def _units(name: str, text: str) -> int:
    try:
        return parse_decimal(text)
    except AmountError as error:
        raise InvalidExample(f"'{name}' must be an amount with digits, a point and at most 8 decimals.") from error
