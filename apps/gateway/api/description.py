"""The API's own description."""

from typing import TYPE_CHECKING

import msgspec

from apps.gateway.openapi.document import document_json
from apps.gateway.registry import Call, endpoint

if TYPE_CHECKING:
    from apps.gateway.gateway import Gateway


@endpoint("GET", "/api/openapi.json", weight=10)
async def openapi(gateway: "Gateway", call: Call) -> msgspec.Raw:
    return msgspec.Raw(document_json())
