"""What the supervisor does around starting processes: the database before them, the demo logins after them."""

import asyncio
import contextlib
import time

import psycopg

from nebannpet.children import DeathPipe, describe_exit, pump, spawn
from nebannpet.console import Console
from nebannpet.demologins import ACCOUNTS, load_logins, parse_login, save_logins
from nebannpet.embedded import Postgres
from nebannpet.paths import Paths
from nebannpet.processes import manage_launch

EXTERNAL_TIMEOUT_S = 30.0


class StartError(Exception):
    """The exchange cannot be started; the message says why."""


class Preparation:
    def __init__(
        self,
        *,
        paths: Paths,
        dsn: str,
        embedded_postgres: bool,
        console: Console,
        pipe: DeathPipe,
        environment: dict[str, str],
    ) -> None:
        self._paths = paths
        self._dsn = dsn
        self._embedded_postgres = embedded_postgres
        self._console = console
        self._pipe = pipe
        self._environment = environment

    async def set_up(self) -> None:
        try:
            if self._embedded_postgres:
                await asyncio.to_thread(Postgres(self._paths).ensure_database)
            else:
                await self._wait_for_database()
        except psycopg.Error as error:
            raise StartError(f"the database cannot be made: {error}") from error
        await self.manage("set_up")

    async def _wait_for_database(self) -> None:
        deadline = time.monotonic() + EXTERNAL_TIMEOUT_S
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(self._dsn, connect_timeout=3)
                await connection.close()
                return
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    if "DATABASE_URL" in self._environment:
                        raise StartError(f"the server of DATABASE_URL does not answer: {error}") from error
                    raise StartError(
                        f"the servers of this data directory, which the first shard's supervisor keeps, are down; start"
                        f" that first, without SHARD: {error}"
                    ) from error
                await asyncio.sleep(0.5)

    async def manage(self, *arguments: str, secret: bool = False) -> list[str]:
        """Run a command of manage.py to its end and return its lines, shown unless `secret` and it succeeds."""
        self._console.say(f"setup: manage.py {arguments[0]}")
        running = await spawn(manage_launch(*arguments).command, self._pipe, self._environment)
        lines: list[str] = []

        def keep(line: str) -> None:
            lines.append(line)
            if not secret:
                self._console.line("setup", line)

        assert running.stdout is not None
        try:
            await pump(running.stdout, keep)
            code = await running.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                running.kill()
            await running.wait()
            raise
        if code != 0:
            if secret:
                self._console.line("setup", "\n".join(lines))
            raise StartError(f"manage.py {' '.join(arguments)} {describe_exit(code)}")
        return lines

    async def show_demo_logins(self) -> None:
        path = self._paths.demo_logins
        try:
            logins = await asyncio.to_thread(load_logins, path, self._dsn)
            # An older release made fewer; those that there are keep their passwords.
            if missing := ACCOUNTS[len(logins) :]:
                for arguments in missing:
                    logins.append(parse_login(await self.manage("demo_account", *arguments, secret=True)))
                save_logins(path, logins)
        except (StartError, ValueError, OSError, psycopg.Error) as error:
            self._console.say(f"there are no demo logins: {error}")
            return
        for login in logins:
            self._console.say(f"demo login: {login.email}  password: {login.password}")
        self._console.say(f"the code that log-in asks for: .venv/bin/python manage.py totp_code {logins[0].email}")
        self._console.say(f"their API keys and the secrets of their authenticator apps: {path}")
