"""The page that describes the trading API. The site renders it; the gateway itself knows no page."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from apps.gateway.limits.tiers import PRODUCTION, STANDARD, tiers
from apps.gateway.openapi import page
from apps.gateway.policy import (
    CONNECTIONS_PER_ADDRESS_MAX,
    CONTROL_MESSAGES_PER_S,
    RECV_WINDOW_DEFAULT_MS,
    RECV_WINDOW_MAX_MS,
    STREAMS_PER_CONNECTION_MAX,
    WSAPI_GARBAGE_MAX,
    WSAPI_IN_FLIGHT_MAX,
    WSAPI_REQUESTS_PER_S,
    WSAPI_ROOM_WAIT_S,
)


@require_safe
def api_page(request: HttpRequest) -> HttpResponse:
    """Every endpoint, method, stream, error and limit, from what the gateway validates by."""
    origin = settings.PUBLIC_ORIGIN
    context = {
        "origin": origin,
        "socket_origin": origin.replace("http", "ws", 1),
        "sections": page.sections(),
        "order_kinds": page.order_kinds(),
        "session_methods": page.session_methods(),
        "streams": page.streams(),
        "stream_placeholders": page.stream_placeholders(),
        "errors": page.error_rows(),
        "limits": tiers(settings.RATE_LIMIT_FACTOR)[STANDARD],
        "factor": settings.RATE_LIMIT_FACTOR,
        "production": PRODUCTION,
        "recv_window": RECV_WINDOW_DEFAULT_MS,
        "recv_window_max": RECV_WINDOW_MAX_MS,
        "streams_max": STREAMS_PER_CONNECTION_MAX,
        "control_messages_per_s": CONTROL_MESSAGES_PER_S,
        "requests_per_s": WSAPI_REQUESTS_PER_S,
        "requests_at_once": WSAPI_IN_FLIGHT_MAX,
        "room_wait_ms": round(WSAPI_ROOM_WAIT_S * 1000),
        "gateways": settings.WEB_CONCURRENCY,
        "connections_in_all": CONNECTIONS_PER_ADDRESS_MAX * settings.WEB_CONCURRENCY,
        "http_connections_per_address": settings.HTTP_CONNECTIONS_PER_ADDRESS_MAX,
        "garbage_max": WSAPI_GARBAGE_MAX,
        "connections_max": CONNECTIONS_PER_ADDRESS_MAX,
    }
    return render(request, "gateway/api.html", context)
