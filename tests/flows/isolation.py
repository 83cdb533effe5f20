"""What works while a process is down (requirements T16), as data: one row for each process, one column a feature.

`tests/flows/test_isolation.py` stops each process of a running exchange and proves every cell; `docs/isolation.md`
carries the same table, and a test keeps the two equal. Write it anew with: python -m tests.flows.isolation
"""

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "isolation.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


class Outcome(enum.StrEnum):
    WORKS = "works"
    REFUSED = "refused"
    STALE = "stale"
    QUIET = "quiet"
    QUEUED = "queued"
    GONE = "gone"


MEANING: Final = {
    Outcome.WORKS: "as always",
    Outcome.REFUSED: "a clear refusal at once, never a time-out: 503 with code -1001 and Retry-After from the API, 502 "
    "or 503 as a plain page from the site and with Retry-After from the platform API, an error of the database for a "
    "deposit or an e-mail; nothing was done",
    Outcome.STALE: (
        "answers with what was known before the stop, after some seconds with `X-Market-Data-Stale-Since`;"
        " nothing newer arrives"
    ),
    Outcome.QUIET: "the connection stays open and is silent",
    Outcome.QUEUED: "recorded in PostgreSQL, credited or sent when the process is back",
    Outcome.GONE: "the connection is closed or refused at once",
}

# Column -> what is done to prove it.
FEATURES: Final = {
    "trade": "place an order that rests and a pair of orders that trade (REST)",
    "cancel": "cancel a resting order (REST)",
    "read": "open orders, just after a trade (REST)",
    "depth": "public depth (REST): has the order just placed",
    "klines": "candles of the day (REST): count the trade just made",
    "stream": "trades on an open market stream",
    "user": "execution reports on an open user data stream (WebSocket API)",
    "join": "a new user data stream (WebSocket API)",
    "login": "log in on the site",
    "account": "the account page of an open session",
    "markets": "the markets page",
    "static": "a static file",
    "platform": "own accounts over the platform API, signed",
    "change": "freeze a sub-account over the platform API, signed",
    "deposit": "credit an account through the outbox",
    "mail": "queue an e-mail, which Celery sends",
}

# Some columns depend on others: with no new trade, depth and candles are right although nothing moves, and open streams
# are quiet. A row names the stopped processes joined by '+'; '~' in front means paused (SIGSTOP) instead of stopped.
# `matching` is the active worker and `standby` the one that follows, whatever their processes are called by now.
# Trading counts as stopped once the exchange itself says so (GET /sapi/v1/system/status), a good second after the
# last worker's lease; an order of that second waits in the log for the next worker, and is answered 504 without one.
TABLE: Final = """
stopped           trade   cancel  read    depth klines  stream user  join    login   account markets static  platform change  deposit mail
matching          works   works   works   works works   works  works works   works   works   works   works   works    works   works   works
standby           works   works   works   works works   works  works works   works   works   works   works   works    works   works   works
matching+standby  refused refused works   works works   quiet  quiet works   works   works   works   works   works    works   queued  works
settlement        works   works   refused works works   works  works refused works   works   works   works   works    works   queued  works
archive           works   works   works   works works   works  works works   works   works   works   works   works    works   works   works
marketdata        works   works   works   stale stale   quiet  works works   works   works   works   works   works    works   works   works
outbox            works   works   works   works works   works  works works   works   works   works   works   works    works   queued  works
reconcile         works   works   works   works works   works  works works   works   works   works   works   works    works   works   works
celery            works   works   works   works works   works  works works   works   works   works   works   works    works   works   queued
site              works   works   works   works works   works  works works   refused refused refused refused refused  refused works   works
gateway           gone    gone    gone    gone  gone    gone   gone  gone    gone    gone    gone    gone    gone     gone    works   works
redis-edge        works   works   works   stale works   quiet  works works   works   works   works   works   works    refused works   queued
redis-core        refused refused refused works works   quiet  quiet refused works   works   works   works   works    works   queued  works
postgres          works   works   refused works refused works  works refused refused refused refused works   refused  refused refused refused
~matching         works   works   works   works works   works  works works   works   works   works   works   works    works   works   works
~matching+standby refused refused works   works works   quiet  quiet works   works   works   works   works   works    works   queued  works
~settlement       works   works   refused works works   works  works refused works   works   works   works   works    works   queued  works
~redis-core       refused refused refused works works   quiet  quiet refused works   works   works   works   works    works   queued  works
"""  # noqa: E501  a table


@dataclass(frozen=True, slots=True)
class Row:
    """`stopped` in the order of stopping; `paused` says that they are paused instead."""

    name: str
    stopped: tuple[str, ...]
    paused: bool
    expected: dict[str, Outcome]


def rows(table: str = TABLE) -> list[Row]:
    """The table, checked: its columns are FEATURES, its cells outcomes, no row stands twice."""
    header, *lines = [line.split() for line in table.strip().splitlines()]
    assert header[1:] == list(FEATURES), "the table's columns are not the features"
    found = []
    for name, *cells in lines:
        expected = {feature: Outcome(cell) for feature, cell in zip(header[1:], cells, strict=True)}
        found.append(Row(name, tuple(name.removeprefix("~").split("+")), name.startswith("~"), expected))
    assert len({row.name for row in found}) == len(found), "a row stands twice"
    return found


def as_markdown() -> str:
    lines = ["| stopped | " + " | ".join(FEATURES) + " |", "|---" * (len(FEATURES) + 1) + "|"]
    for row in rows():
        what = " and ".join(row.stopped) + (" (paused)" if row.paused else "")
        cells = ["works" if each is Outcome.WORKS else f"**{each}**" for each in row.expected.values()]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    lines += ["", "| column | what is done |", "|---|---|"]
    lines += [f"| {name} | {text} |" for name, text in FEATURES.items()]
    lines += ["", "| outcome | meaning |", "|---|---|"]
    lines += [f"| {outcome} | {text} |" for outcome, text in MEANING.items()]
    return "\n".join(lines)


def document(text: str) -> str:
    """`text` of docs/isolation.md with the table as it is here."""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{as_markdown()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(document(DOCUMENT.read_text()))
