"""The operator's hand on single processes under `make run`: the socket behind `manage.py process` (requirements T16).

One request a connection on the unix socket NEBANNPET_DATA/run/supervisor.sock, which only this user may open. Both ways
one line of JSON:

    {"do": "list"}                                     -> {"processes": {name: {"state", "pid", "restarts"}}}
    {"do": "stop", "name": "matching"}                 -> {"done": "matching is stopped; it stays down until ..."}
    {"do": "start", "name": "matching", "wait_s": 60}  -> {"done": "matching is ready, pid 123"}
    {"do": "restart", "name": ..., "wait_s": ...}      -> the same

A refusal is {"error": text} and changes nothing. Stop is the orderly stop with the process's time of grace; the process
then counts as stopped, not as failing, and nothing starts it but `start` and `restart`. `start` waits until the process
is healthy; one that is not after `wait_s` is an error too, and is tried again like any failing process.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from nebannpet.children import Child, State

LINE_BYTES_MAX: Final = 4096
REQUEST_TIMEOUT_S: Final = 5.0
WAIT_S_MAX: Final = 600.0
ACTIONS: Final = ("stop", "start", "restart")


class Refused(Exception):
    """The request changes nothing; the message says why and what to do."""


class Control:
    """`not_now` answers why nothing may be changed at this moment, or an empty string."""

    def __init__(self, children: Mapping[str, Child], *, not_now: Callable[[], str]) -> None:
        self._children = children
        self._not_now = not_now
        self._busy: set[str] = set()
        self._serving: set[asyncio.Task[Any]] = set()

    @contextlib.asynccontextmanager
    async def serve(self, path: Path) -> AsyncIterator[None]:
        """Answer on `path` inside the block; requests still being carried out at its end are dropped."""
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        server = await asyncio.start_unix_server(self._serve_one, sock=listener, limit=LINE_BYTES_MAX)
        try:
            yield
        finally:
            server.close()
            path.unlink(missing_ok=True)
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                line = await reader.readline()
            answer = await self._answer(line)
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        except (ConnectionError, TimeoutError, ValueError):
            pass  # whoever asked is gone, silent or sends no line: there is nobody to tell
        except asyncio.CancelledError:
            # The supervisor stops; the client sees the connection end without an answer and says so.
            return
        finally:
            self._serving.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise Refused("A request is one JSON object on a line.")
            if request.get("do") == "list":
                return {"processes": process_table(self._children)}
            return {"done": await self._change(request)}
        except (json.JSONDecodeError, UnicodeDecodeError):
            return {"error": "A request is one JSON object on a line."}
        except Refused as refusal:
            return {"error": str(refusal)}

    async def _change(self, request: Mapping[str, Any]) -> str:
        action, name, wait_s = request.get("do"), request.get("name"), request.get("wait_s", 60)
        if action not in ACTIONS:
            raise Refused(f"There is no action {action!r}. Known: list, {', '.join(ACTIONS)}.")
        if not isinstance(name, str) or name not in self._children:
            raise Refused(f"There is no process {name!r} here. Known: {', '.join(self._children)}.")
        if isinstance(wait_s, bool) or not isinstance(wait_s, int | float) or not 0 <= wait_s <= WAIT_S_MAX:
            raise Refused(f"wait_s is a number of seconds from 0 to {WAIT_S_MAX:.0f}.")
        if reason := self._not_now():
            raise Refused(reason)
        if name in self._busy:
            raise Refused(f"{name} is being stopped or started by somebody else just now. Try again in a moment.")
        self._busy.add(name)
        try:
            child = self._children[name]
            if action == "stop":
                return await _stop(child)
            if action == "restart":
                await child.stop()
            return await _start(child, wait_s)
        finally:
            self._busy.discard(name)


async def _stop(child: Child) -> str:
    if child.state is State.STOPPED:
        return f"{child.name} was stopped already"
    await child.stop()
    return f"{child.name} is stopped; it stays down until: manage.py process start {child.name}"


async def _start(child: Child, wait_s: float) -> str:
    if child.state is not State.STOPPED:
        return f"{child.name} was not stopped: it is {child.state}, pid {child.pid or 'none'}"
    child.start()
    try:
        await asyncio.wait_for(child.ready.wait(), wait_s)
    except TimeoutError:
        raise Refused(
            f"{child.name} was started but is not healthy after {wait_s:g} s. It goes on trying; "
            f"see its log, {child.name}.log."
        ) from None
    return f"{child.name} is ready, pid {child.pid}"


def process_table(children: Mapping[str, Child]) -> dict[str, dict[str, Any]]:
    """{name: {"pid": int or None, "state": str, "restarts": int}}; restarts are those that nobody asked for."""
    return {
        name: {"pid": child.pid, "state": child.state, "restarts": child.restarts} for name, child in children.items()
    }


def ask(path: Path, request: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
    """The supervisor's answer; Refused with its reason, also when no supervisor listens on `path`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline()
        except TimeoutError:
            raise Refused(f"The supervisor did not answer within {timeout_s:g} s.") from None
        except OSError as error:
            raise Refused(
                f"No supervisor runs with this data directory ({path}: {error.strerror}). Start it with make run; "
                "elsewhere processes are stopped by what started them, such as: docker compose stop NAME"
            ) from error
    if not line:
        raise Refused("The supervisor stopped before it answered.")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise Refused(answer["error"])
    return answer
