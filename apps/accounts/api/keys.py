"""API keys: list, make, limit, revoke (requirement A5). By sessions alone: no key makes or changes one."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.authentication import user_of
from apps.accounts.api.deciding import allowed_or_refused, facts_about
from apps.accounts.api.shapes import ACCOUNT, Key, KeyNetworksSent, KeySent, NewKey
from apps.accounts.errors import ApiKeyNotFound
from apps.accounts.facts import Factor, Facts
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey
from apps.accounts.rules import Action, Verdict, decide
from apps.accounts.selectors import own_account
from apps.accounts.services.api_keys import (
    change_networks,
    check_new_key,
    check_new_networks,
    create_api_key,
    limiting_action,
    register_public_key,
    revoke_api_key,
)
from apps.accounts.services.codes import use_code
from apps.accounts.services.ending import still_in
from apps.accounts.services.lostfactor import stop_by_factor
from apps.controls.gates import OPEN_GATES
from apps.web.api import paging
from apps.web.api.access import Access, caller_of
from apps.web.api.parameters import number_in
from apps.web.api.problems import Refused, invalid
from apps.web.api.views import ApiView, http_request


def _keys_of(request: Request) -> QuerySet[ApiKey]:
    return ApiKey.objects.filter(account__owner_id=caller_of(request).user_id).defer("secret_box", "verify_key")


def _key_of(request: Request, key_id: int) -> ApiKey:
    found = _keys_of(request).filter(pk=key_id).first()
    if found is None:
        raise ApiKeyNotFound("You have no such API key.")
    return found


class KeysView(ApiView):
    access = {"GET": Access.SESSION, "POST": Access.SESSION}
    parameters = (*paging.PARAMETERS, ACCOUNT)

    @extend_schema(operation_id="list_keys", responses=paging.pages(Key))
    def get(self, request: Request) -> Response:
        """All keys of the user, or of one `account`, newest first, the revoked too."""
        found, account_id = _keys_of(request), number_in(self.query, ACCOUNT.name)
        if account_id is not None:
            own_account(user_id=caller_of(request).user_id, account_id=account_id)
            found = found.filter(account_id=account_id)
        return Response(paging.shown(paging.page_of(found, self.wanted_page(), newest_first=True), Key))

    @extend_schema(operation_id="make_key", request=KeySent, responses={201: NewKey})
    def post(self, request: Request) -> Response:
        """A new key, usable at once. Needs a confirmation of the last 15 minutes; to trade also a second factor; to
        withdraw also networks, an end and a new code."""
        sent = self.sent(request, KeySent)
        account = own_account(user_id=caller_of(request).user_id, account_id=sent["account"])
        terms = KeyTerms.chosen(
            label=sent["label"],
            can_read=sent["can_read"],
            can_trade=sent["can_trade"],
            can_withdraw=sent["can_withdraw"],
            networks=sent["networks"],
            lifetime_days=sent["expires_after_days"],
        )
        check = partial(check_new_key, account_id=account.pk, terms=terms, pem=sent.get("public_key"))
        facts = _facts_for(request, sent, terms.highest_right, check)
        secret: str | None = None
        with still_in(http_request(request)):
            if "public_key" in sent:
                pem = sent["public_key"]
                made = register_public_key(facts=facts, account_id=account.pk, terms=terms, pem=pem)
            else:
                made, secret = create_api_key(facts=facts, account_id=account.pk, terms=terms)
        return Response({**Key(made).data, "secret": secret}, 201)


def _facts_for(request: Request, sent: dict[str, Any], action: Action, check: Callable[..., None]) -> Facts:
    """What is decided by, with the code used. Everything else that is wrong, which `check` raises, is said before."""
    if action is not Action.KEY_WITHDRAW:
        if "code" in sent:
            raise invalid("code", "Only a key that can withdraw takes a code.")
        allowed_or_refused(request, action)
        return facts_about(request, action)
    facts = facts_about(request, action)
    decision = decide(action, facts, OPEN_GATES, timezone.now())
    if decision.verdict is Verdict.NEEDS_FRESH_CODE and Factor.AUTHENTICATOR not in facts.factors:
        raise Refused(decision.code, "With a passkey and no authenticator app such a key is made on the page.")
    if decision.verdict is not Verdict.NEEDS_FRESH_CODE or "code" not in sent:
        raise Refused(decision.code, decision.message)
    check(facts=facts)
    use_code(user_id=facts.user_id, code=sent["code"])
    # It is not lost: what staff are asked ends.
    stop_by_factor(user=user_of(request))
    return replace(facts, fresh_by=frozenset({Factor.AUTHENTICATOR}))


class KeyView(ApiView):
    access = {"GET": Access.SESSION, "PATCH": Access.SESSION, "DELETE": Access.SESSION}

    @extend_schema(operation_id="key", responses=Key)
    def get(self, request: Request, key_id: int) -> Response:
        """One key."""
        return Response(Key(_key_of(request, key_id)).data)

    @extend_schema(operation_id="limit_key", request=KeyNetworksSent, responses=Key)
    def patch(self, request: Request, key_id: int) -> Response:
        """It works from these networks only, in place of those that it has; never from everywhere. Needs what a new key
        with its rights does; one that trades and gets none that it does not have, what one that reads does."""
        sent = self.sent(request, KeyNetworksSent)
        key = _key_of(request, key_id)
        action = limiting_action(key, sent["networks"])
        check = partial(check_new_networks, key_id=key_id, networks=sent["networks"])
        facts = _facts_for(request, sent, action, check)
        with still_in(http_request(request)):
            change_networks(facts=facts, key_id=key_id, networks=sent["networks"])
        return Response(Key(_key_of(request, key_id)).data)

    @extend_schema(operation_id="revoke_key", responses={204: None})
    def delete(self, request: Request, key_id: int) -> Response:
        """It stops working everywhere within a second, for good. Once more changes nothing."""
        revoke_api_key(account_id=_key_of(request, key_id).account_id, key_id=key_id)
        return Response(status=204)
