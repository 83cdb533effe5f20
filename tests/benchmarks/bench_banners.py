"""A banner reaches 5,000 open pages of one site process (issue 7: in less than 2 s).

A real `manage.py run_site`, a socket for each of 5,000 users who are logged in, no gateway in between. Timed, by the
wall clock, from before the banner's transaction to the last page that has it, once for everyone and once for 5,000
chosen users; and the site process's own CPU seconds meanwhile.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import psutil

from tests.benchmarks.registry import RUNS, Row, Series, benchmark
from tests.benchmarks.site_process import running_site, site_servers

PAGES: Final = int(os.environ.get("BENCH_PAGES", "5000"))


@benchmark("banners", f"a banner reaches {PAGES:,} open pages of one site process", apart=True)
def banners() -> Iterator[Row]:
    with site_servers() as data_dir:
        user_ids, sessions = _logged_in()
        (data_dir / "sessions").write_text("\n".join(sessions))
        with running_site(data_dir) as (site, port), _pages(port, data_dir / "sessions") as pages:
            for audience, chosen in (("everyone", []), ("chosen", user_ids)):
                took, cpu = zip(*(_one(site, pages, audience, chosen) for _ in range(RUNS)), strict=True)
                note = f"{PAGES:,} pages, users logged in; to the last page"
                yield _row(f"banner for {audience}, wall clock", list(took), 2.0, note)
                yield _row(f"banner for {audience}, CPU of the site", list(cpu), None, note)


def _row(figure: str, values: list[float], below: float | None, note: str) -> Row:
    return Row(figure=figure, unit="s", series=Series(values, lower_is_better=True), below=below, note=note)


def _one(site: psutil.Process, pages: Any, audience: str, chosen: list[int]) -> tuple[float, float]:
    """(seconds to the last page, CPU seconds of the site) of one banner, which is withdrawn after it."""
    from django.utils import timezone

    from apps.notifications.models import Audience, Severity
    from apps.notifications.services import show_banner, withdraw_banner

    text = f"banner at {time.monotonic_ns()}"
    _ask(pages, text)
    now = timezone.now()
    cpu_s, began_s = sum(site.cpu_times()[:2]), time.time()
    banner = show_banner(
        text=text, severity=Severity.INFO, audience=Audience(audience), user_ids=chosen, starts_at=now,
        ends_at=now + timedelta(days=1), made_by="benchmark", reason="a benchmark",
    )  # fmt: skip
    told = json.loads(pages.stdout.readline())
    used_s = sum(site.cpu_times()[:2]) - cpu_s
    withdraw_banner(banner_id=banner.pk, asked_by="benchmark", reason="a benchmark")
    # The pages take the empty list, too, before the next one.
    time.sleep(2)
    return told["last_s"] - began_s, used_s


def _logged_in() -> tuple[list[int], list[str]]:
    """Numbers of PAGES users, and the key of a session of each."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.utils import timezone
    from django.utils.crypto import get_random_string

    from apps.accounts.models import User
    from apps.accounts.sessiontimes import begin

    now = timezone.now()
    users = User.objects.bulk_create(
        User(email=f"page{number}@example.org", password="!", email_verified_at=now) for number in range(PAGES)
    )
    rows = []
    for user in users:
        data: dict[str, Any] = {
            SESSION_KEY: str(user.pk),
            BACKEND_SESSION_KEY: "apps.accounts.backends.ThrottledBackend",
            HASH_SESSION_KEY: user.get_session_auth_hash(),
        }
        begin(data, now_s=int(now.timestamp()))
        key = get_random_string(32, "abcdefghijklmnopqrstuvwxyz0123456789")
        rows.append(
            Session(session_key=key, session_data=SessionStore().encode(data), expire_date=now + timedelta(days=1))
        )
    Session.objects.bulk_create(rows)
    return [user.pk for user in users], [row.session_key for row in rows]


@contextmanager
def _pages(port: int, sessions: Path) -> Iterator[Any]:
    from django.conf import settings

    from nebannpet.openfiles import raise_limit

    raise_limit()
    command = [
        sys.executable, "-m", "tests.benchmarks.live_clients", str(port), settings.PUBLIC_ORIGIN, str(sessions),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as pages:
        try:
            assert pages.stdout is not None
            assert json.loads(pages.stdout.readline()) == {"open": PAGES}
            yield pages
        finally:
            pages.terminate()


def _ask(pages: Any, text: str) -> None:
    pages.stdin.write(text + "\n")
    pages.stdin.flush()
    assert json.loads(pages.stdout.readline()) == {"waits": True}
