"""A customer who saves his trades as CSV, one file after another: python -m tests.benchmarks.export_client PORT < WHO

WHO is one line of JSON: email, password and the secret of his authenticator app. He logs in, prints a line, and goes on
until stdin ends; then prints as JSON how many files he got, their bytes, and what failed.
"""

import json
import sys
import threading
import time
from typing import Any, Final

import httpx

from tests.benchmarks.log_in_client import BROWSER, submit
from tests.codes import PERIOD_S, code_of

FILE: Final = "/account/trades.csv"
REST_S: Final = 0.2


def main(port: str) -> None:
    email, password, secret = json.loads(sys.stdin.readline())
    done = threading.Event()
    found: dict[str, Any] = {"files": 0, "bytes": 0, "failed": []}
    with httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"User-Agent": BROWSER}, verify=False, timeout=60
    ) as browser:
        browser.get("/account/log-in").raise_for_status()
        landed = submit(browser, "/account/log-in", username=email, password=password)
        if secret:
            browser.get(landed).raise_for_status()
            landed = submit(browser, landed, code=code_of(secret, int(time.time()) // PERIOD_S))
        if landed != "/account/":
            raise SystemExit(f"the log-in led to {landed}")
        print("in", flush=True)

        def save() -> None:
            while not done.wait(REST_S):
                try:
                    with browser.stream("GET", FILE) as answer:
                        answer.raise_for_status()
                        found["bytes"] += sum(len(part) for part in answer.iter_raw())
                    found["files"] += 1
                except httpx.HTTPError as error:
                    found["failed"].append(repr(error))
                    return

        saving = threading.Thread(target=save)
        saving.start()
        sys.stdin.read()
        done.set()
        saving.join()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
