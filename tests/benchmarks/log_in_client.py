"""People who log in on a schedule, each in a browser of its own: python -m tests.benchmarks.log_in_client PORT < PLAN

PLAN is a JSON list of [due_s, email, secret]: a time.monotonic(), and the secret of an authenticator app in base32 or
"". Each opens the log-in page OPENED_BEFORE_S early and sends the password when it is due; who has an app sends its
code TYPED_S after the answer. Prints the fields of `Outcome` as JSON.
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

import httpx

from tests.accounts.people import PASSWORD
from tests.codes import PERIOD_S, code_of

OPENED_BEFORE_S = 1.0
TYPED_S = 2.0
# So many may be at it at once before one is late, which counts in its latency.
PEOPLE_AT_ONCE = 24
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

# due_s, email, secret
Person = tuple[float, str, str]


@dataclass(slots=True)
class Outcome:
    """Milliseconds of each log-in: from when the password was due to its answer, and from the code to its own. And whom
    it failed."""

    took_ms: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def log_in(port: int, plan: Sequence[Person]) -> Outcome:
    """All of `plan`, which is in the order of its times."""
    outcome = Outcome()

    def one(number: int) -> None:
        due_s, email, secret = plan[number]
        # Of a network each: the limits are in force, and an office of hundreds is not what is measured.
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        try:
            _one(port, due_s, email, secret, address, outcome)
        except (httpx.HTTPError, KeyError, ValueError) as error:
            outcome.failed.append(f"{email}: {error!r}")

    with ThreadPoolExecutor(PEOPLE_AT_ONCE) as pool:
        list(pool.map(one, range(len(plan))))
    return outcome


def _one(port: int, due_s: float, email: str, secret: str, address: str, outcome: Outcome) -> None:
    headers = {"X-Forwarded-For": address, "User-Agent": BROWSER}
    # Of TLS there is none; to read the system's certificates would take longer than the log-in.
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, verify=False, timeout=60) as browser:
        _sleep_until(due_s - OPENED_BEFORE_S)
        browser.get("/account/log-in").raise_for_status()
        _sleep_until(due_s)
        landed = submit(browser, "/account/log-in", username=email, password=PASSWORD)
        took_ms = (time.monotonic() - due_s) * 1e3
        if secret and landed == "/account/log-in/code":
            browser.get(landed).raise_for_status()
            time.sleep(TYPED_S)
            sent_s = time.monotonic()
            landed = submit(browser, landed, code=code_of(secret, int(time.time()) // PERIOD_S))
            took_ms += (time.monotonic() - sent_s) * 1e3
        if landed != "/account/":
            raise ValueError(f"led to {landed}")
    outcome.took_ms.append(took_ms)


def submit(browser: httpx.Client, path: str, **fields: str) -> str:
    """Where the answer leads to. ValueError where it leads nowhere."""
    answer = browser.post(path, data={**fields, "csrfmiddlewaretoken": browser.cookies["csrftoken"]})
    if answer.status_code != 302:
        raise ValueError(f"{path}: {answer.status_code}")
    return answer.headers["location"]


def _sleep_until(when_s: float) -> None:
    time.sleep(max(0.0, when_s - time.monotonic()))


if __name__ == "__main__":
    json.dump(asdict(log_in(int(sys.argv[1]), [tuple(person) for person in json.load(sys.stdin)])), sys.stdout)
