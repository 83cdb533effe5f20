"""What clients did and what they were told: append-only, one record for each request, with monotonic times.

An operation is invoked once and ends once, as one of

    ok        the exchange said that it was done
    refused   the exchange said that it was not done, or the request never left this machine
    unknown   no answer, a broken connection, or the exchange itself says that it does not know (504 -1007)
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.dialect import Account


class Outcome(StrEnum):
    OPEN = "open"
    OK = "ok"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Kind(StrEnum):
    PLACE = "place"
    CANCEL = "cancel"
    CANCEL_ALL = "cancel-all"
    QUERY = "query"
    AMEND = "amend"
    REPLACE = "replace"
    PLACE_LIST = "place-list"
    CANCEL_LIST = "cancel-list"


PLACING = (Kind.PLACE, Kind.REPLACE, Kind.PLACE_LIST)


@dataclass(slots=True)
class Operation:
    """`client_id` names the order, also in cancels and queries; a list's is its own. A cancel-replace has that of the
    new order. `status` 0: no HTTP answer. Times in seconds.

    `repeated`: what a second request with the same client id was told, after the first had no answer.
    """

    kind: Kind
    account_id: int
    client_id: str
    params: dict[str, Any]
    invoked_s: float
    ended_s: float = 0.0
    outcome: Outcome = Outcome.OPEN
    status: int = 0
    body: Any = None
    repeated: bool = False

    def end(self, outcome: Outcome, *, status: int = 0, body: Any = None) -> None:
        assert self.outcome is Outcome.OPEN, f"{self.client_id} ended twice"
        self.ended_s, self.outcome, self.status, self.body = time.monotonic(), outcome, status, body

    def new_orders(self) -> dict[str, dict[str, str]]:
        """{client id: side, price and quantity} of each order that this would place."""
        sent = self.params
        if self.kind is Kind.PLACE_LIST:
            return {
                sent[f"{leg}ClientOrderId"]: {
                    "side": sent["side"], "price": sent[f"{leg}Price"], "quantity": sent["quantity"],
                }
                for leg in ("above", "below")
            }  # fmt: skip
        if self.kind in PLACING:
            asked = {"side": sent["side"], "price": sent.get("price", "0"), "quantity": sent["quantity"]}
            return {self.client_id: asked}
        return {}

    def told(self) -> dict[str, dict[str, Any]]:
        """{client id: answer} of each order that an acknowledgement speaks of as new."""
        if self.outcome is not Outcome.OK or self.kind not in PLACING:
            return {}
        if self.kind is Kind.PLACE_LIST:
            return {report["clientOrderId"]: report for report in self.body["orderReports"]}
        return {self.client_id: self.body["newOrderResponse"] if self.kind is Kind.REPLACE else self.body}

    def repeat(self, *, status: int, body: Any) -> None:
        """The same request again was acknowledged: the order exists now, from the first attempt or from this one."""
        assert self.outcome is Outcome.UNKNOWN, f"{self.client_id} was answered"
        self.ended_s, self.outcome, self.status, self.body = time.monotonic(), Outcome.OK, status, body
        self.repeated = True


@dataclass(slots=True)
class FeedMessage:
    """One message of a stream. `connection` counts the connections of its reader; ids never join over two of them."""

    connection: int
    received_s: float
    body: dict[str, Any]


@dataclass(slots=True)
class History:
    """Everything one account's clients did; `reports` are its user data events."""

    account: Account
    funds: dict[str, str]
    operations: list[Operation] = field(default_factory=list)
    reports: list[FeedMessage] = field(default_factory=list)

    def invoke(self, kind: Kind, client_id: str, params: dict[str, Any]) -> Operation:
        operation = Operation(kind, self.account.account_id, client_id, params, time.monotonic())
        self.operations.append(operation)
        return operation

    def of(self, kind: Kind, *outcomes: Outcome) -> Iterator[Operation]:
        return (
            found
            for found in tuple(self.operations)
            if found.kind is kind and (not outcomes or found.outcome in outcomes)
        )


@dataclass(slots=True)
class Histories:
    """All accounts, the depth reader, and the times at which orders were acknowledged (for takeover times)."""

    accounts: list[History] = field(default_factory=list)
    depth: list[FeedMessage] = field(default_factory=list)
    snapshots: list[FeedMessage] = field(default_factory=list)
    acknowledged_s: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledge(self) -> None:
        with self.lock:
            self.acknowledged_s.append(time.monotonic())

    def operations(self, kind: Kind, *outcomes: Outcome) -> Iterator[Operation]:
        for history in self.accounts:
            yield from history.of(kind, *outcomes)

    def placing(self, *outcomes: Outcome) -> Iterator[Operation]:
        """Whatever would place orders."""
        for kind in PLACING:
            yield from self.operations(kind, *outcomes)

    def timers_end_ms(self) -> int:
        """When the last order that ends by itself has ended."""
        sent = (operation.params for operation in self.operations(Kind.PLACE))
        return max((params["goodTillDate"] for params in sent if "goodTillDate" in params), default=0)

    def count(self, *outcomes: Outcome) -> int:
        """Operations that ended so."""
        return sum(operation.outcome in outcomes for history in self.accounts for operation in history.operations)

    def save(self, path: Path) -> None:
        """One JSON line for each operation, for a person who looks into a failure."""
        with path.open("w", encoding="utf-8") as out:
            for history in self.accounts:
                for operation in history.operations:
                    out.write(json.dumps(asdict(operation), default=str) + "\n")
