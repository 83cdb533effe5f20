"""The security centre and the account pages beside it, of a user with a long past (issue 7: in less than 150 ms).

10,000 log-ins, 20 browsers, 30 keys, 10,000 orders and trades; the whole request as the site answers it, middleware,
session and rendering included, one at a time in this process on a PostgreSQL of its own. CPU is of this process and
of its connection's server; the wall clock counts whatever else the machine does, too.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from tests.benchmarks.bench_settlement import migrated
from tests.benchmarks.registry import RUNS, Row, Series, benchmark

ROWS: Final = int(os.environ.get("BENCH_LOG_INS", "10000"))
REQUESTS: Final = 40
PAGES: Final = {
    "/account/security": 150.0, "/account/": 150.0, "/account/log-ins": None, "/account/orders": None,
    "/account/trades": None, "/account/fees": None,
}  # fmt: skip


@benchmark("security-centre", f"the security centre and account pages with {ROWS:,} rows of history")
def security_centre() -> Iterator[Row]:
    from tests.servers import running_servers

    data_dir = Path(tempfile.mkdtemp(prefix="nebannpet-bench-"))
    with running_servers(data_dir) as servers:
        migrated(servers.postgres.dsn(), data_dir)
        client = _somebody_with_a_past()
        for path, below in PAGES.items():
            wall, cpu = zip(*(_one(client, path) for _ in range(RUNS)), strict=True)
            note = f"{REQUESTS} requests"
            yield Row(figure=f"{path}: wall clock", unit="ms", series=Series(wall, True), below=below, note=note)
            yield Row(figure=f"{path}: CPU", unit="ms", series=Series(cpu, True), note=note)
        from django.db import connections

        connections.close_all()


def _one(client: Any, path: str) -> tuple[float, float]:
    """(milliseconds, median; CPU milliseconds, mean) of one request."""
    from django.db import connection

    connection.ensure_connection()
    server = psutil.Process(connection.connection.info.backend_pid)
    # The first one reads templates.
    assert client.get(path).status_code == 200, path
    wall, before = [], time.process_time() + sum(server.cpu_times()[:2])
    for _ in range(REQUESTS):
        began_s = time.perf_counter()
        client.get(path)
        wall.append((time.perf_counter() - began_s) * 1e3)
    used_s = time.process_time() + sum(server.cpu_times()[:2]) - before
    return median(wall), used_s * 1e3 / REQUESTS


def _somebody_with_a_past() -> Any:
    from django.conf import settings
    from django.db import connection
    from django.test import Client

    from apps.accounts.keyterms import KeyTerms
    from apps.accounts.models import Device, User
    from apps.accounts.selectors import main_account
    from apps.accounts.services.keyissue import issue_hmac_key
    from apps.markets.services import create_asset, create_market
    from tests.gateway.filled import BUSY, fill
    from tests.markets.conftest import TERMS

    settings.ALLOWED_HOSTS = ["testserver"]
    user = User.objects.create_user("alice@example.org", "correct horse battery")
    account = main_account(user_id=user.pk)
    assert account.pk == BUSY, "the rows are of the first account"
    for code in ("BTC", "USDT", "ETH"):
        create_asset(code=code, name=code)
    for base in ("BTC", "ETH"):
        create_market(base=base, quote="USDT", terms=TERMS, reason="benchmark", requested_by="benchmark")
    connection.ensure_connection()
    fill(connection.connection, ROWS)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET side = side % 2")
        cursor.execute(
            "INSERT INTO accounts_login (user_id, at, succeeded, browser, address, factors, new_device)"
            " SELECT %s, now(), TRUE, 'Firefox', '198.51.100.7', 'password', FALSE FROM generate_series(1, %s)",
            [user.pk, ROWS],
        )
    for number in range(20):
        Device.objects.create(user=user, token_hash=bytes([number]) * 32, browser="Firefox", address="198.51.100.7")
    for number in range(30):
        issue_hmac_key(account_id=account.pk, terms=KeyTerms(label=f"bot {number}", can_read=True, can_trade=True))
    client = Client()
    client.force_login(user)
    return client
