"""What a request tells of the browser that sent it."""

from django.http import HttpRequest

from apps.accounts.browsers import browser_name


def client_browser(request: HttpRequest) -> str:
    return browser_name(request.headers.get("user-agent", ""))
