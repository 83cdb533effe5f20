"""The description of the API as a file (OpenAPI 3.1)."""

import json
from functools import cache

from django.http import HttpResponse
from drf_spectacular.generators import SchemaGenerator
from rest_framework.request import Request

from apps.web.api.access import Access
from apps.web.api.views import ApiView


@cache
def description() -> bytes:
    """The same for everybody, and made once."""
    found = SchemaGenerator().get_schema(request=None, public=True)
    return json.dumps(found, ensure_ascii=False).encode()


class Description(ApiView):
    access = {"GET": Access.PUBLIC}
    schema = None

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(description(), content_type="application/json")
