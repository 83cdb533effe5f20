"""loadgen without an exchange: which plans it refuses, what traffic it makes, and that its percentiles are right."""

import random
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.core.management import CommandError, call_command

from apps.gateway.loadgen.driver import Load
from apps.gateway.loadgen.histogram import Histogram, bucket_of, top_of
from apps.gateway.loadgen.market import Market
from apps.gateway.loadgen.outcome import ERRORS_MAX, OTHER_ERRORS, Outcome, Tally, decimal
from apps.gateway.loadgen.plan import ApiKeyPair, Plan, PlanError, is_private
from apps.gateway.loadgen.signing import Signer
from apps.gateway.loadgen.traffic import ORDERS, SECOND_NS, traffic
from apps.gateway.loadgen.transport import MS_NS, UNANSWERED, UNSENT

KEYS = tuple(ApiKeyPair(key=name * 64, secret="s" * 64) for name in "ab")
GOOD = Plan(url="http://localhost:8000", orders_per_s=10, reads_per_s=5, seconds=4, keys=KEYS, fills_percent=50)
MARKET = Market("BTCUSDT", Decimal("50000"), Decimal("0.01"), Decimal("0.0002"), ())


def test_a_good_plan_passes() -> None:
    GOOD.check()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"url": "localhost:8000"}, "is no address of an exchange"),
        ({"url": "ftp://localhost"}, "is no address of an exchange"),
        ({"url": "http://"}, "is no address of an exchange"),
        ({"url": "http://u:p@localhost"}, "is no address of an exchange"),
        ({"url": "http://localhost/api"}, "is no address of an exchange"),
        ({"url": "http://localhost?x"}, "is no address of an exchange"),
        ({"url": "http://localhost:99999"}, "is no address"),
        ({"url": "http://[::1"}, "is no address"),
        ({"orders_per_s": -1}, "Orders a second must be between 0 and 100000, not -1."),
        ({"reads_per_s": 100_001}, "Reads a second must be between"),
        ({"orders_per_s": 0, "reads_per_s": 0}, "Nothing to send"),
        ({"seconds": 0}, "Seconds must be between"),
        ({"seconds": 90_000}, "Seconds must be between"),
        ({"reads_per_s": 100_000, "seconds": 86_400}, "more than 1000000000 requests"),
        ({"connections": 901}, "Connections must be between"),
        ({"timeout_ms": 0}, "The time limit of a request in ms must be between"),
        ({"cancel_after_ms": -1}, "The time to cancel in ms must be between"),
        ({"parts": 0}, "Processes must be between"),
        ({"part": 1}, "Part 1 of 1 does not exist."),
        ({"seed": -1}, "The seed must be between"),
        ({"fills_percent": 101}, "Fills must be between"),
        ({"over": "fix"}, "Over must be one of rest, ws-api"),
        ({"arrivals": "all at once"}, "Arrivals must be one of even, random"),
        ({"symbol": "btcusdt"}, "is no symbol"),
        ({"symbol": ""}, "is no symbol"),
        ({"reads": ()}, "Name at least one read"),
        ({"reads": ("all",)}, "Reads must be one of"),
        ({"keys": (), "fills_percent": 0}, "Orders need an API key"),
        ({"keys": KEYS[:1]}, "keys of two accounts"),
        ({"keys": (KEYS[0], KEYS[0])}, "named twice"),
        ({"keys": (ApiKeyPair(key="a b", secret="x"),), "fills_percent": 0}, "letters and digits"),
        ({"keys": (ApiKeyPair(key="a", secret=""),), "fills_percent": 0}, "is missing or has strange characters"),
        ({"keys": (ApiKeyPair(key="a", secret="é"),), "fills_percent": 0}, "is missing or has strange characters"),
        ({"over": "ws-api", "orders_per_s": 3000, "connections": 5}, "needs 21 connections in each process"),
    ],
)
def test_nonsense_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(PlanError) as refusal:
        replace(GOOD, **changes).check()
    assert text in str(refusal.value)


def test_strange_secrets_are_refused() -> None:
    with pytest.raises(PlanError, match="cannot be read"):
        Signer(ApiKeyPair(key="a", secret="-----BEGIN PRIVATE KEY-----\nx"))
    rsa = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(PlanError, match="is not an Ed25519 key"):
        Signer(ApiKeyPair(key="a", secret=rsa.decode()))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["http://localhost:1", "--reads", "x"], "invalid int value"),
        (["http://localhost:1"], "Nothing to send"),
        (["http://localhost:1", "--orders", "1"], "Orders need an API key"),
        (["http://localhost:1", "--orders", "1", "--key", "abc"], "belong together"),
        (["http://localhost:1", "--orders", "1", "--keys", "no-such-file"], "cannot be read"),
        (["http://localhost:1", "--orders", "1", "--key", "a", "--secret", "no-such.pem"], "cannot be read"),
        (["http://localhost:1", "--keys", "x", "--key", "a", "--secret", "b"], "either --keys or"),
        (["https://api.exchange.example", "--reads", "1"], "add --remote"),
        (["http://localhost:1", "--reads", "1"], "does not answer"),
    ],
)
def test_the_command_refuses_nonsense(arguments: list[str], text: str) -> None:
    with pytest.raises(CommandError) as refusal:
        call_command("loadgen", *arguments)
    assert text in str(refusal.value)


def test_a_file_of_keys_must_have_them(tmp_path: Any) -> None:
    for content in ("x", "[]", "{}", '{"api_key": "a"}'):
        (tmp_path / "keys").write_text(content + "\n")
        with pytest.raises(CommandError, match="api_key and api_secret"):
            call_command("loadgen", "http://localhost:1", "--orders", "1", "--keys", str(tmp_path / "keys"))


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("localhost", True), ("gateway", True), ("127.0.0.1", True), ("10.1.2.3", True), ("192.168.1.9", True),
        ("::1", True), ("fd00::1", True), ("exchange.internal", True), ("8.8.8.8", False), ("2001:4860::8888", False),
        ("api.exchange.example", False), ("1.2", False),
    ],
)  # fmt: skip
def test_private_hosts(host: str, private: bool) -> None:
    assert is_private(host) is private


# -- traffic ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("arrivals", ["even", "random"])
def test_traffic_repeats_by_seed_and_parts_make_the_whole(arrivals: str) -> None:
    plan = replace(GOOD, arrivals=arrivals, orders_per_s=100, reads_per_s=50)
    whole = list(traffic(plan, MARKET, "x-"))
    assert whole == list(traffic(plan, MARKET, "x-"))
    assert whole != list(traffic(replace(plan, seed=2), MARKET, "x-"))
    assert [due for due, _ in whole] == sorted(due for due, _ in whole)
    assert all(0 <= due < plan.seconds * SECOND_NS for due, _ in whole)
    parts = [list(traffic(replace(plan, parts=3, part=part), MARKET, "x-")) for part in range(3)]
    assert sorted((each for part in parts for each in part), key=lambda each: each[0]) == whole
    if arrivals == "even":
        assert len(whole) == 600
    else:
        assert 450 < len(whole) < 750


def test_orders_that_meet_are_of_two_accounts_at_one_price() -> None:
    plan = replace(
        GOOD, orders_per_s=100, reads_per_s=0, keys=(*KEYS, *(replace(key, key=key.key + "2") for key in KEYS))
    )
    orders = [request for _, request in traffic(plan, MARKET, "x-") if request.kind == ORDERS]
    meeting = [order for order in orders if not order.rests]
    assert len(meeting) == len(orders) // 2
    for first, second in zip(meeting[::2], meeting[1::2], strict=True):
        assert {first.params["side"], second.params["side"]} == {"BUY", "SELL"}
        assert first.params["price"] == second.params["price"] == "50000"
        assert first.account is not None
        assert first.account ^ 1 == second.account
    for order in orders:
        if order.rests:
            price = Decimal(order.params["price"])
            assert price % MARKET.tick == 0
            assert price < 49_500 if order.params["side"] == "BUY" else price > 50_500
    assert len({order.client_id for order in orders}) == len(orders)


# -- counting ---------------------------------------------------------------------------------------------------------
def test_percentiles_are_never_too_low_and_at_most_one_percent_too_high() -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    values = [int(draw.lognormvariate(8, 2)) for _ in range(3_000)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    values.sort()
    for per_mille in (1, 100, 500, 900, 990, 999, 1000):
        exact = values[-(-len(values) * per_mille // 1000) - 1]
        assert exact <= histogram.at(per_mille) <= exact + exact // 100
    assert histogram.at(1000) == values[-1]


def test_buckets_cover_every_value_once() -> None:
    for value in [*range(5_000), *(2**power + change for power in range(10, 50) for change in (-1, 0, 1))]:
        bucket = bucket_of(value)
        assert value <= top_of(bucket)
        assert bucket == 0 or value > top_of(bucket - 1)


def test_tallies_add_up() -> None:
    parts = [Outcome(), Outcome()]
    for number, part in enumerate(parts):
        tally = part.tally("orders")
        tally.due, tally.succeeded, tally.unsent, tally.unanswered = 10, 6, 1, 1
        tally.took_ms = 1_000 + number
        tally.latency.add(1_000 * (number + 1))
        tally.error("400 -2010 x")
        part.statuses["NEW"] = 6
        part.reconnects = 1
    whole = Outcome()
    whole.merge(parts)
    orders = whole.summary()["kinds"]["orders"]
    assert (orders["due"], orders["succeeded"], orders["unsent"], orders["unanswered"]) == (20, 12, 2, 2)
    assert orders["errors"] == {"400 -2010 x": 2}
    assert orders["latencyUs"]["max"] == 2_000
    assert orders["succeededPerKs"] == 11_988
    report = whole.report()
    for text in ("orders: 2 x 400 -2010 x", "2 were never sent", "2 were sent and not answered", "NEW 12", "11.9"):
        assert text in report
    assert report.splitlines()[1].split()[:4] == ["orders", "20", "12", "4"]
    assert "count in the percentiles" in report
    assert whole.summary()["reconnects"] == 2


@pytest.mark.parametrize("status", [UNSENT, UNANSWERED])
def test_what_is_never_answered_took_its_time_limit_at_least(status: int) -> None:
    """A connection that breaks at once must not make the percentiles better, nor one that is given up late."""
    load = Load(replace(GOOD, timeout_ms=700), [], MARKET)
    request = next(request for _, request in traffic(GOOD, MARKET, "x-"))
    for due_ago_ms in (1, 5_000):
        load._count(request, time.monotonic_ns() - due_ago_ms * MS_NS, status, b"")
    tally = load.outcome.tally(request.kind)
    assert (tally.without_answer, tally.latency.total) == (2, 2)
    assert 700_000 <= tally.latency.at(500) < 1_000_000
    assert tally.latency.highest_us >= 5_000_000


def test_different_errors_are_bounded() -> None:
    tally = Tally()
    for number in range(ERRORS_MAX + 10):
        tally.error(f"400 -1 {number}")
    assert len(tally.errors) == ERRORS_MAX + 1
    assert tally.errors[OTHER_ERRORS] == 10


def test_decimals() -> None:
    assert [decimal(12_345, digits) for digits in (1, 2, 3)] == ["12.3", "12.34", "12.345"]
    assert decimal(7, 2) == "0.00"
