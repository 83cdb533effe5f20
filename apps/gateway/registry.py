"""All endpoints in one table: routing, validation, weights and (later) the documentation come from it.

An endpoint is one async function `(gateway, call) -> answer`, declared once and served over REST and, where it has a
`ws` name, over the WebSocket API. Apps above the gateway add theirs in `apps/<app>/api/sapi.py`, read by `load()`.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps as django_apps

from apps.gateway.params import Param, Reader

if TYPE_CHECKING:
    from apps.gateway.errors import ApiError
    from apps.gateway.gateway import Gateway
    from apps.gateway.keys import Credential
    from apps.gateway.limits.counting import Usage

API_PREFIXES: Final = ("/api/", "/sapi/", "/fapi/", "/dapi/")
# The site's own APIs below /api/ (architecture.md section 2).
SITE_API_PREFIXES: Final = ("/api/v2/", "/api/platform/")


class Security(Enum):
    """What a caller must show."""

    NONE = "NONE"
    # An API key that may read, and no signature.
    USER_STREAM = "USER_STREAM"
    USER_DATA = "USER_DATA"
    TRADE = "TRADE"


@dataclass(slots=True)
class Call:
    """One request after validation. `values` holds every declared parameter; amounts are units of 10^-8."""

    endpoint: "Endpoint"
    values: dict[str, Any]
    credential: "Credential | None"
    received_ms: int
    # What address and account have used, this request included; there once it is admitted.
    usage: "Usage | None" = None
    # The account has sent too many orders; the endpoint is called all the same, as it has more to do.
    too_many_orders: "ApiError | None" = None

    @property
    def account_id(self) -> int:
        """The caller's trading account; only for endpoints with security."""
        assert self.credential is not None, "an endpoint without security has no account"
        return self.credential.account_id


Handler = Callable[["Gateway", Call], Awaitable[Any]]
Weight = int | Callable[[Mapping[str, Any]], int]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`weight` is a number or a function of the values; `error_codes` lists the codes that are special to it.

    `orders` new orders count against the account's limits; 0 shows the counts, None has nothing to do with them.
    """

    method: str
    path: str
    handler: Handler
    weight: Weight = 1
    security: Security = Security.NONE
    params: tuple[Param, ...] = ()
    error_codes: tuple[int, ...] = ()
    ws: str | None = None
    orders: int | None = None
    # Whether a call goes on beyond the limits of new orders, by its values.
    survives_order_limit: Callable[[Mapping[str, Any]], bool] | None = None
    # Passes for known keys even when PostgreSQL is away for long (architecture.md section 2).
    is_cancel: bool = False
    reader: Reader = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "reader", Reader(self.params))

    def weight_of(self, values: Mapping[str, Any]) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(values)


class Registry:
    """(method, path) and WebSocket API name to endpoint; a name declared twice is a programming error."""

    def __init__(self) -> None:
        self.paths: dict[str, dict[str, Endpoint]] = {}
        self.ws: dict[str, Endpoint] = {}

    def add(self, endpoint: Endpoint) -> None:
        methods = self.paths.setdefault(endpoint.path, {})
        assert endpoint.method not in methods, f"{endpoint.method} {endpoint.path} is declared twice"
        assert endpoint.path.startswith(API_PREFIXES), f"{endpoint.path} is not a gateway path"
        methods[endpoint.method] = endpoint
        if endpoint.ws is not None:
            assert endpoint.ws not in self.ws, f"{endpoint.ws} is declared twice"
            self.ws[endpoint.ws] = endpoint

    def all(self) -> list[Endpoint]:
        return [endpoint for methods in self.paths.values() for endpoint in methods.values()]


registry: Final = Registry()


def endpoint(
    method: str,
    path: str,
    *,
    weight: Weight = 1,
    security: Security = Security.NONE,
    params: tuple[Param, ...] = (),
    error_codes: tuple[int, ...] = (),
    ws: str | None = None,
    orders: int | None = None,
    survives_order_limit: Callable[[Mapping[str, Any]], bool] | None = None,
    is_cancel: bool = False,
) -> Callable[[Handler], Handler]:
    """Declare the decorated function as an endpoint."""

    def declare(handler: Handler) -> Handler:
        registry.add(
            Endpoint(
                method=method,
                path=path,
                handler=handler,
                weight=weight,
                security=security,
                params=params,
                error_codes=error_codes,
                ws=ws,
                orders=orders,
                survives_order_limit=survives_order_limit,
                is_cancel=is_cancel,
            )
        )
        return handler

    return declare


def load() -> Registry:
    """Import every installed app's endpoints once; needs Django's app registry."""
    for name in ("market", "ticker", "account", "order", "orderlist", "userstream", "wallet", "description"):
        import_module(f"apps.gateway.api.{name}")
    for config in django_apps.get_app_configs():
        if config.name.startswith("apps.") and find_spec(f"{config.name}.api") and find_spec(f"{config.name}.api.sapi"):
            import_module(f"{config.name}.api.sapi")
    return registry
