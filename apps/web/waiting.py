"""How long to wait before the same is asked again (RFC 9110, 10.2.3)."""

from django.http import HttpResponse


def tell_wait(answer: HttpResponse, seconds: int | None) -> None:
    """None: waiting alone does not help, and nothing is said of it."""
    if seconds is not None:
        answer["Retry-After"] = str(seconds)
