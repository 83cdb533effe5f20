"""The caller: who that is, and a proof that they are there."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.authentication import user_of
from apps.accounts.api.shapes import Confirmation, ConfirmationSent, Profile
from apps.accounts.policy import STEP_UP_S
from apps.accounts.selectors import factors_of, has_second_factor, held_until, main_account
from apps.accounts.services.codes import use_code
from apps.accounts.services.passwords import confirm_password
from apps.accounts.stepup import Proof, confirm
from apps.web.api.access import Access
from apps.web.api.problems import Refused, invalid
from apps.web.api.views import ApiView, http_request
from apps.web.visitor import client_address


class ProfileView(ApiView):
    access = {"GET": Access.READ_ALL}

    @extend_schema(operation_id="profile", responses=Profile)
    def get(self, request: Request) -> Response:
        """The user."""
        user = user_of(request)
        found: dict[str, Any] = {
            "id": user.pk,
            "email": user.email,
            "created_at": user.created_at,
            "master_account": main_account(user_id=user.pk).pk,
            "second_factors": sorted(each.value for each in factors_of(user_id=user.pk)),
            "withdrawals_held_until": held_until(user=user),
        }
        return Response(Profile(found).data)


class ConfirmationsView(ApiView):
    access = {"POST": Access.SESSION}

    @extend_schema(operation_id="confirm", request=ConfirmationSent, responses={201: Confirmation})
    def post(self, request: Request) -> Response:
        """Confirm that the user is there, as the page of that name does: what answered STEP_UP_NEEDED then goes on."""
        sent = self.sent(request, ConfirmationSent)
        user = user_of(request)
        if set(sent) not in ({"code"}, {"password"}):
            raise invalid("", "Send 'code', or 'password' for a user without a second factor.")
        if "code" in sent:
            use_code(user_id=user.pk, code=sent["code"])
            proof = Proof.AUTHENTICATOR
        elif has_second_factor(user_id=user.pk):
            raise invalid("password", "This user has a second factor: a password is no proof.")
        elif confirm_password(user=user, password=sent["password"], address=client_address(http_request(request))):
            proof = Proof.PASSWORD
        else:
            raise Refused("WRONG_PASSWORD", "That is not your password.")
        confirm(http_request(request), proof)
        return Response(Confirmation({"confirmed_until": timezone.now() + timedelta(seconds=STEP_UP_S)}).data, 201)
