"""The rules by which block orders of the master account are divided (T12): list, make, change, remove."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.deciding import still_asking
from apps.accounts.errors import NoTradingAccount, UnknownAllocation
from apps.accounts.models import AllocationChange, AllocationRule
from apps.accounts.selectors import accounts_of, allocation_rules_of, main_account
from apps.accounts.services.allocations import remove_allocation_rule, set_allocation_rule
from apps.audit.actors import user_text
from apps.orders.allocationviews import REASON
from apps.outbox.admin import why
from apps.outbox.models import OutboxRow, OutboxState
from apps.outbox.policy import ANSWER_WAIT_S
from apps.outbox.selectors import wait_done
from apps.streams.kinds import AllocationMethod
from apps.streams.messages import MAX_ALLOCATION_ACCOUNTS
from apps.web.api import paging
from apps.web.api.access import Access, caller_of
from apps.web.api.fields import Sent, WholeNumber
from apps.web.api.views import ApiView

METHODS: Final[Mapping[str, AllocationMethod]] = {
    "fixed": AllocationMethod.FIXED,
    "equal": AllocationMethod.EQUAL,
    "pro-rata": AllocationMethod.PRO_RATA,
}
NAMES: Final = {method.value: name for name, method in METHODS.items()}


class Rule(serializers.Serializer):
    id = serializers.IntegerField(source="rule_id", help_text="What block orders name as allocationId.")
    method = serializers.SerializerMethodField()
    accounts = serializers.ListField(child=serializers.IntegerField())
    weights_bp = serializers.ListField(
        child=serializers.IntegerField(), help_text="Basis points, of fixed shares only."
    )

    def get_method(self, rule: AllocationRule) -> str:
        return NAMES[rule.method]


class RuleSent(Sent):
    method = serializers.ChoiceField(list(METHODS))
    accounts = serializers.ListField(
        child=WholeNumber(), min_length=1, max_length=MAX_ALLOCATION_ACCOUNTS,
        help_text="In the order that settles ties.",
    )  # fmt: skip
    weights_bp = serializers.ListField(
        child=WholeNumber(), max_length=MAX_ALLOCATION_ACCOUNTS, default=list,
        help_text="Basis points of each account, together 10000: of fixed shares only.",
    )  # fmt: skip


class RuleAsked(serializers.Serializer):
    id = serializers.IntegerField()
    state = serializers.ChoiceField(OutboxState.choices, help_text="What the engine said; waiting: nothing yet.")
    reason = serializers.CharField(help_text="Why it was refused; empty otherwise.")


class RulesView(ApiView):
    access = {"GET": Access.READ_ALL, "POST": Access.TRADE_ALL}
    parameters = paging.PARAMETERS

    @extend_schema(operation_id="list_allocation_rules", responses=paging.pages(Rule))
    def get(self, request: Request) -> Response:
        """Those that the engine has, by their numbers."""
        rules = allocation_rules_of(account_id=_master(request))
        wanted = self.wanted_page()
        if wanted.cursor is not None:
            rules = rules.filter(rule_id__gt=wanted.cursor)
        found = list(rules[: wanted.limit + 1])
        shown = found[: wanted.limit]
        return Response(
            paging.shown(paging.Page(shown, shown[-1].rule_id if len(found) > wanted.limit else None), Rule)
        )

    @extend_schema(operation_id="make_allocation_rule", request=RuleSent, responses={201: RuleAsked})
    def post(self, request: Request) -> Response:
        """Asks the engine for a new rule, and waits up to two seconds for what it says."""
        return Response(_asked(_set(request, None, self.sent(request, RuleSent))), 201)


class RuleView(ApiView):
    access = {"GET": Access.READ_ALL, "PUT": Access.TRADE_ALL, "DELETE": Access.TRADE_ALL}

    @extend_schema(operation_id="allocation_rule", responses=Rule)
    def get(self, request: Request, rule_id: int) -> Response:
        """One rule."""
        return Response(Rule(_rule(request, rule_id)).data)

    @extend_schema(operation_id="change_allocation_rule", request=RuleSent, responses=RuleAsked)
    def put(self, request: Request, rule_id: int) -> Response:
        """Asks the engine for other content of a rule; open block orders keep their shares."""
        sent = self.sent(request, RuleSent)
        return Response(_asked(_set(request, _rule(request, rule_id).rule_id, sent)))

    @extend_schema(operation_id="remove_allocation_rule", responses=RuleAsked)
    def delete(self, request: Request, rule_id: int) -> Response:
        """Asks the engine to forget a rule; open block orders keep their shares."""
        with still_asking(request):
            asked = remove_allocation_rule(
                account_id=_master(request),
                rule_id=_rule(request, rule_id).rule_id,
                reason=REASON,
                requested_by=user_text(caller_of(request).user_id),
            )
        return Response(_asked(asked))


def _master(request: Request) -> int:
    return main_account(user_id=caller_of(request).user_id).pk


def _rule(request: Request, rule_id: int) -> AllocationRule:
    found = allocation_rules_of(account_id=_master(request)).filter(rule_id=rule_id).first()
    if found is None:
        raise UnknownAllocation("You have no such allocation rule.")
    return found


def _set(request: Request, rule_id: int | None, sent: dict[str, Any]) -> AllocationChange:
    user_id = caller_of(request).user_id
    # The engine would refuse others; but nobody learns here which numbers there are (threat-T13).
    if not set(sent["accounts"]) <= set(accounts_of(user_id=user_id).values_list("pk", flat=True)):
        raise NoTradingAccount("You have no such account.")
    with still_asking(request):
        return set_allocation_rule(
            account_id=_master(request),
            rule_id=rule_id,
            method=METHODS[sent["method"]].value,
            accounts=sent["accounts"],
            weights_bp=sent["weights_bp"],
            reason=REASON,
            requested_by=user_text(user_id),
        )


def _asked(change: AllocationChange) -> dict[str, Any]:
    row = wait_done(OutboxRow.objects.get(key=change.outbox_key), ANSWER_WAIT_S)
    return dict(RuleAsked({"id": change.rule_id, "state": row.state, "reason": why(row)}).data)
