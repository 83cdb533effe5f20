"""One open-loop client of an account: orders and lists of all kinds; queries, cancels, amends and replaces them."""

import asyncio
import itertools
import random
from collections.abc import Callable
from typing import Any

from tests.chaos.history import Histories, History, Kind, Operation, Outcome
from tests.chaos.load.forms import ORDER, SYMBOL, less, new_order, replacement
from tests.chaos.load.wire import NotSent, Unanswered, Wire

# A client that is never answered must not pile up for ever; what is above this is not sent at all.
IN_FLIGHT_MAX = 150
# Far fewer open orders than a market allows one account, so that the exchange never refuses for their number.
CLEAR_EVERY = 60
CANCEL_SHARE = 0.3
QUERY_SHARE = 0.1
AMEND_SHARE = 0.1
REPLACE_SHARE = 0.1


class Trader:
    """`rate` is requests a second. An unanswered order is never sent again: it may be executed or not, but once."""

    def __init__(
        self, name: str, wire: Wire, history: History, histories: Histories, *, rate: float, seed: int,
        client_id_prefix: Callable[[], str] = lambda: "",
    ) -> None:  # fmt: skip
        self._name = name
        self._wire = wire
        self._history = history
        self._histories = histories
        self._rate = rate
        self._random = random.Random(seed)
        self._prefix = client_id_prefix
        self._tasks: set[asyncio.Task[None]] = set()
        self.not_started = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; then waits for the answers that are still due."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._random.random() / self._rate
        for number in itertools.count():
            try:
                async with asyncio.timeout_at(due):
                    await stopping.wait()
                break
            except TimeoutError:
                pass
            due += self._random.expovariate(self._rate)
            if len(self._tasks) >= IN_FLIGHT_MAX:
                self.not_started += 1
                continue
            task = loop.create_task(self._cycle(number))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await asyncio.gather(*self._tasks)
        await self._wire.close()

    async def _cycle(self, number: int) -> None:
        """One order, and perhaps what its owner does with it afterwards."""
        draw = self._random
        # Drawn here, in the order of arrival: answers come in any order and must not change what a seed means.
        clear, then, query = number % CLEAR_EVERY == CLEAR_EVERY - 1, draw.random(), draw.random()
        client_id = f"{self._prefix()}{self._name}-{number}"
        kind, path, params = new_order(draw, client_id)
        smaller = less(draw, params["quantity"])
        other = replacement(draw, f"{client_id}-r", client_id)
        placed = await self._ask(kind, client_id, "POST", path, params)
        if placed.outcome is Outcome.OK:
            self._histories.acknowledge()
            named = {"symbol": SYMBOL, "origClientOrderId": client_id}
            if kind is Kind.PLACE_LIST:
                if then < CANCEL_SHARE:
                    named = {"symbol": SYMBOL, "listClientOrderId": client_id}
                    await self._ask(Kind.CANCEL_LIST, client_id, "DELETE", "/api/v3/orderList", named)
            else:
                await self._follow_up(placed, named, then, query, smaller, other)
        if clear:
            await self._ask(Kind.CANCEL_ALL, "", "DELETE", "/api/v3/openOrders", {"symbol": SYMBOL})

    async def _follow_up(
        self, placed: Operation, named: dict[str, Any], then: float, query: float, smaller: str, other: dict[str, Any]
    ) -> None:
        client_id = placed.client_id
        if query < QUERY_SHARE:
            await self._ask(Kind.QUERY, client_id, "GET", ORDER, named)
        if placed.body["status"] not in ("NEW", "PARTIALLY_FILLED"):
            return
        if then < CANCEL_SHARE:
            await self._ask(Kind.CANCEL, client_id, "DELETE", ORDER, named)
        elif then < CANCEL_SHARE + AMEND_SHARE:
            await self._ask(Kind.AMEND, client_id, "PUT", f"{ORDER}/amend/keepPriority", {**named, "newQty": smaller})
        elif then < CANCEL_SHARE + AMEND_SHARE + REPLACE_SHARE:
            new = await self._ask(Kind.REPLACE, other["newClientOrderId"], "POST", f"{ORDER}/cancelReplace", other)
            if new.outcome is Outcome.OK:
                self._histories.acknowledge()

    async def _ask(self, kind: Kind, client_id: str, method: str, path: str, params: dict[str, Any]) -> Operation:
        operation = self._history.invoke(kind, client_id, params)
        try:
            status, body = await self._wire.request(method, path, params)
        except NotSent as error:
            operation.end(Outcome.REFUSED, body=f"not sent: {error}")
        except Unanswered as error:
            operation.end(Outcome.UNKNOWN, body=str(error))
        else:
            if kind is Kind.REPLACE and status == 409 and body["data"]["newOrderResult"] == "SUCCESS":
                # Half done: the order to cancel was no longer there, and the new one was placed all the same.
                operation.end(Outcome.OK, status=status, body=body["data"])
            else:
                operation.end(outcome_of(status), status=status, body=body)
        return operation


def outcome_of(status: int) -> Outcome:
    if status == 200:
        return Outcome.OK
    # 504 says that it is unknown; any other 5xx than 503 would be an answer that the dialect does not have.
    return Outcome.REFUSED if status < 500 or status == 503 else Outcome.UNKNOWN
