"""Puts the content policy, Trusted Types and the permissions policy on every answer of the site."""

from typing import Final

from csp.constants import HEADER
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest, HttpResponseBase

from apps.common.contentpolicy import DIRECTIVES, PERMISSIONS, REPORT_PATH, TRUSTED_TYPES

# Trading, log-in and security pages. Elsewhere Trusted Types are only reported: Django's admin writes markup by script.
ENFORCED_BELOW: Final = ("/account/", "/login/", "/trade/")
ENFORCED_AT: Final = ("/account", "/trade")
_ORDER: Final = {name: place for place, name in enumerate((*DIRECTIVES, *TRUSTED_TYPES))}


def enforces_trusted_types(path: str) -> bool:
    return path in ENFORCED_AT or path.startswith(ENFORCED_BELOW)


class ContentPolicyMiddleware(CSPMiddleware):
    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        enforced = enforces_trusted_types(request.path_info)
        if report_only and not enforced:
            parts.config = {"require-trusted-types-for": ["'script'"], "report-uri": [REPORT_PATH]}
        elif enforced and not report_only:
            parts.update = TRUSTED_TYPES | (parts.update or {})
        return parts

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        answer: HttpResponseBase = super().process_response(request, response)
        if HEADER in answer:
            answer[HEADER] = _in_order(answer[HEADER])
        answer["Permissions-Policy"] = PERMISSIONS
        return answer


def _in_order(policy: str) -> str:
    """django-csp goes through a set, so without this each process would send its own order."""
    parts = policy.split("; ")
    return "; ".join(sorted(parts, key=lambda part: _ORDER.get(part.partition(" ")[0], len(_ORDER))))
