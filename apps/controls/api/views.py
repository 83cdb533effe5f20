"""What is suspended or frozen now, as far as it concerns the caller. Why is staff's affair (E9)."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.controls.kinds import Kind, Scope
from apps.controls.selectors import in_force_for
from apps.web.api import paging
from apps.web.api.access import Access, caller_of
from apps.web.api.views import ApiView


class SwitchShape(serializers.Serializer):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField([each.value for each in Kind])
    scope = serializers.ChoiceField([each.value for each in Scope])
    subject = serializers.CharField(help_text="Code of an asset, name of a class, or your own number; may be empty.")
    since = serializers.DateTimeField(source="set_at")
    until = serializers.DateTimeField(allow_null=True, help_text="When it ends by itself.")


class SwitchesView(ApiView):
    access = {"GET": Access.READ}
    parameters = paging.PARAMETERS

    @extend_schema(operation_id="list_switches", responses=paging.pages(SwitchShape))
    def get(self, request: Request) -> Response:
        """Every suspension and freeze in force of the platform, of assets and classes, and of the user."""
        page = paging.page_of(in_force_for(user_id=caller_of(request).user_id), self.wanted_page())
        return Response(paging.shown(page, SwitchShape))
