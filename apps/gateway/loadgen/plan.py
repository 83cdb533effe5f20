"""What load to send, checked before anything is sent. Rates are requests a second, times whole milliseconds."""

import ipaddress
import re
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

OVER: Final = ("rest", "ws-api")
ARRIVALS: Final = ("even", "random")
# Public reads by name: REST path, WebSocket API method, parameters besides the symbol.
READS: Final[dict[str, tuple[str, str, dict[str, str]]]] = {
    "book": ("/api/v3/ticker/bookTicker", "ticker.book", {}),
    "depth": ("/api/v3/depth", "depth", {"limit": "20"}),
    "price": ("/api/v3/ticker/price", "ticker.price", {}),
    "ticker": ("/api/v3/ticker/24hr", "ticker.24hr", {}),
    "trades": ("/api/v3/trades", "trades.recent", {"limit": "20"}),
    "klines": ("/api/v3/klines", "klines", {"interval": "1m", "limit": "20"}),
}
RATE_MAX: Final = 100_000
SECONDS_MAX: Final = 24 * 3600
REQUESTS_MAX: Final = 1_000_000_000
# select() takes descriptors up to 1023.
CONNECTIONS_MAX: Final = 900
CONNECTIONS_OF_REST: Final = 64
# The exchange cuts off a WebSocket API connection that sends 500 requests within a second.
SOCKET_RATE_MAX: Final = 300
PARTS_MAX: Final = 64
SYMBOL: Final = re.compile(r"[A-Z0-9\-_.]{1,20}", re.ASCII)
API_KEY: Final = re.compile(r"[A-Za-z0-9]{1,128}", re.ASCII)


class PlanError(Exception):
    """The plan makes no sense; the message says what is wrong with it. Nothing was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyPair:
    """`secret`: of an HMAC key the text, of an Ed25519 key the private key as PEM."""

    key: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`fills_percent` of the orders come in pairs that meet at `price` (the last price, where none is given), which
    takes two accounts; the others rest about 1 % away and are cancelled after `cancel_after_ms` (0: at the end).

    Of `parts` processes that share one plan, number `part` sends every parts-th request. `start_ns` is a moment of
    the machine's monotonic clock; 0 is at once.
    """

    url: str
    orders_per_s: int = 0
    reads_per_s: int = 0
    seconds: int = 10
    over: str = "rest"
    symbol: str = "BTCUSDT"
    keys: tuple[ApiKeyPair, ...] = ()
    reads: tuple[str, ...] = tuple(READS)
    quantity: str = ""
    price: str = ""
    fills_percent: int = 0
    cancel_after_ms: int = 2_000
    timeout_ms: int = 10_000
    # 0: as many as the rate needs.
    connections: int = 0
    arrivals: str = "even"
    seed: int = 1
    start_ns: int = 0
    part: int = 0
    parts: int = 1

    @property
    def address(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        return self.address.hostname or ""

    @property
    def port(self) -> int:
        return self.address.port or (443 if self.is_tls else 80)

    @property
    def is_tls(self) -> bool:
        return self.address.scheme == "https"

    @property
    def host_header(self) -> str:
        return self.address.netloc

    @property
    def sockets(self) -> int:
        """Connections of this part."""
        return self.connections or (CONNECTIONS_OF_REST if self.over == "rest" else max(self._sockets_needed, 8))

    @property
    def _sockets_needed(self) -> int:
        """Of the WebSocket API, when every order is also cancelled."""
        return -(-(2 * self.orders_per_s + self.reads_per_s) // (SOCKET_RATE_MAX * self.parts))

    def check(self) -> None:
        """Raise PlanError for the first thing that is wrong."""
        _check_url(self.url)
        for name, value, maximum in (
            ("orders a second", self.orders_per_s, RATE_MAX), ("reads a second", self.reads_per_s, RATE_MAX),
            ("the time to cancel in ms", self.cancel_after_ms, 3_600_000),
            ("connections", self.connections, CONNECTIONS_MAX),
        ):  # fmt: skip
            _check_range(name, value, 0, maximum)
        for name, value, maximum in (
            ("seconds", self.seconds, SECONDS_MAX),
            ("the time limit of a request in ms", self.timeout_ms, 600_000), ("processes", self.parts, PARTS_MAX),
        ):  # fmt: skip
            _check_range(name, value, 1, maximum)
        _check_range("fills", self.fills_percent, 0, 100)
        _check_range("the seed", self.seed, 0, 2**63 - 1)
        if not 0 <= self.part < self.parts:
            raise PlanError(f"Part {self.part} of {self.parts} does not exist.")
        if not self.orders_per_s and not self.reads_per_s:
            raise PlanError("Nothing to send: give a rate of orders, of reads, or of both.")
        if (self.orders_per_s + self.reads_per_s) * self.seconds > REQUESTS_MAX:
            raise PlanError(f"That is more than {REQUESTS_MAX} requests; take a lower rate or a shorter time.")
        _check_word("over", self.over, OVER)
        _check_word("arrivals", self.arrivals, ARRIVALS)
        if SYMBOL.fullmatch(self.symbol) is None:
            raise PlanError(f"{self.symbol[:40]!r} is no symbol; one looks like BTCUSDT.")
        if self.reads_per_s and not self.reads:
            raise PlanError(f"Name at least one read: {', '.join(READS)}.")
        for name in self.reads:
            _check_word("reads", name, tuple(READS))
        if self.over == "ws-api" and not self._sockets_needed <= self.sockets <= CONNECTIONS_MAX:
            raise PlanError(
                f"At most {SOCKET_RATE_MAX} requests a second go over one connection of the WebSocket API, so this "
                f"rate needs {self._sockets_needed} connections in each process, of at most {CONNECTIONS_MAX}."
            )
        self._check_keys()

    def _check_keys(self) -> None:
        if self.orders_per_s and not self.keys:
            raise PlanError("Orders need an API key with the right to trade.")
        if self.fills_percent and len(self.keys) < 2:
            raise PlanError("Orders that meet need the keys of two accounts: an account never trades with itself.")
        for pair in self.keys:
            if API_KEY.fullmatch(pair.key) is None:
                raise PlanError("An API key consists of letters and digits.")
            if not pair.secret or not pair.secret.isascii():
                raise PlanError(f"The secret of API key {pair.key[:8]}... is missing or has strange characters.")
        if len({pair.key for pair in self.keys}) != len(self.keys):
            raise PlanError("An API key is named twice.")


def is_private(host: str) -> bool:
    """Whether a host is this machine or one of a private network, by its name or address alone."""
    if ":" in host or host.replace(".", "").isdigit():
        return _is_private_address(host)
    return "." not in host or host.endswith((".localhost", ".local", ".internal", ".test"))


def _is_private_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise PlanError(f"{url[:80]!r} is no address: {error}.") from error
    is_origin = parts.path in ("", "/") and not parts.query and not parts.fragment and "@" not in parts.netloc
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_origin or port == 0 or not url.isascii():
        raise PlanError(f"{url[:80]!r} is no address of an exchange; one looks like http://localhost:8000.")


def _check_range(name: str, value: int, minimum: int, maximum: int) -> None:
    if not minimum <= value <= maximum:
        raise PlanError(f"{name[0].upper()}{name[1:]} must be between {minimum} and {maximum}, not {value}.")


def _check_word(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise PlanError(f"{name[0].upper()}{name[1:]} must be one of {', '.join(known)}, not {value[:40]!r}.")


def tls_of(plan: Plan) -> ssl.SSLContext | None:
    return ssl.create_default_context() if plan.is_tls else None
