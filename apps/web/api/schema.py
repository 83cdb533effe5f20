"""The description of the API (OpenAPI 3.1) beyond what serializers say: rights, parameters, problem documents."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from apps.web.api.access import Access
from apps.web.api.parameters import Parameter


class WrongField(serializers.Serializer):
    field = serializers.CharField(allow_blank=True)
    message = serializers.CharField()


class Problem(serializers.Serializer):
    """RFC 9457."""

    type = serializers.CharField(help_text="The page that explains `code`.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField(help_text="Stable; what programs go by.")
    request_id = serializers.CharField(required=False, help_text="Tell it to us when you ask about this.")
    errors = WrongField(many=True, required=False)  # type: ignore[assignment]


class PlatformSchema(AutoSchema):
    @property
    def _access(self) -> Access | None:
        declared: Mapping[str, Access] = getattr(self.view, "access", {})
        return declared.get(self.method)

    def get_tags(self) -> list[str]:
        return [self.path.split("/")[4].replace("-", " ")]

    def get_description(self) -> str:  # type: ignore[override]
        access = self._access
        text: str = super().get_description()
        return text if access is None else f"{text}\n\nWho: {access.value}"

    def get_summary(self) -> str | None:
        return str(self.get_operation_id()).replace("_", " ").capitalize()

    def get_auth(self) -> list[dict[str, Any]]:
        # Only the schemes that this finds are described.
        super().get_auth()
        if self._access is Access.PUBLIC:
            return [{}]
        session: dict[str, Any] = {"session": []}
        return [session] if self._access is Access.SESSION else [{"signature": []}, session]

    def get_override_parameters(self) -> list[Any]:
        if self.method != "GET":
            return []
        declared: tuple[Parameter, ...] = getattr(self.view, "parameters", ())
        return [
            OpenApiParameter(name=each.name, description=each.text, required=each.is_required, type=dict(each.schema))
            for each in declared
        ]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        found: dict[str, Any] = super()._get_response_bodies(direction)
        # Which errors there are is said by the table of problems; all of them have one shape.
        shape = self._get_response_for_code(Problem, "default", ["application/problem+json"], direction)
        return found | {"default": shape | {"description": "A problem document (RFC 9457)."}}


def refuse_unknown_fields(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """What is sent has the names of its description and no others (fields.Sent)."""
    for address in result["paths"].values():
        for operation in address.values():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                name = content["schema"]["$ref"].rsplit("/", 1)[-1]
                result["components"]["schemas"][name]["additionalProperties"] = False
    return result
