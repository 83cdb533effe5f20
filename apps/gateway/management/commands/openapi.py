"""`manage.py openapi`: the OpenAPI 3.1 document of the trading API."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from apps.gateway.openapi.document import document_json


class Command(BaseCommand):
    help = "Print the OpenAPI 3.1 document of the trading API, as GET /api/openapi.json answers it."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(json.loads(document_json()), indent=2))
