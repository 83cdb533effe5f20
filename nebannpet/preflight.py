"""What must hold before anything starts: a usable data directory, no other supervisor in it, a free port.

Each failure is a message that names the thing, the cause and what to do, and an exit code of its own.
"""

import contextlib
import fcntl
import json
import os
import shutil
import socket
from collections.abc import Iterator

import psutil

from nebannpet.paths import Paths

FREE_BYTES_MIN = 200_000_000
PROBE_BYTES = 1_000_000

EXIT_FAILED = 1
EXIT_CONFIGURATION = 2
EXIT_ALREADY_RUNNING = 3
EXIT_PORT_TAKEN = 4
EXIT_DATA_DIRECTORY = 5


class PreflightError(Exception):
    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def check_data_directory(paths: Paths) -> None:
    """It can be used, and what is in it is whole."""
    check_disk(paths)
    if paths.unfinished_restore.exists():
        raise PreflightError(
            f"A restore into {paths.data_dir} broke off. Run the same manage.py restore again, it goes on where it was;"
            " or choose another data directory: NEBANNPET_DATA=/some/where make run",
            EXIT_DATA_DIRECTORY,
        )


def check_disk(paths: Paths) -> None:
    """Create the data directory if needed, write and read back a probe, and ask for room."""
    try:
        paths.data_dir.mkdir(parents=True, exist_ok=True)
        paths.make_private()
        probe = paths.data_dir / f".probe-{os.getpid()}"
        try:
            with probe.open("wb") as file:
                file.write(os.urandom(PROBE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()
        free = shutil.disk_usage(paths.data_dir).free
    except OSError as error:
        raise PreflightError(
            f"The data directory {paths.data_dir} cannot be used: {error.strerror or error}.\n"
            "Make it writable, or choose another one: NEBANNPET_DATA=/some/where make run",
            EXIT_DATA_DIRECTORY,
        ) from error
    if free < FREE_BYTES_MIN:
        raise PreflightError(
            f"The disk of the data directory {paths.data_dir} is full: {free // 1_000_000} MB free, "
            f"at least {FREE_BYTES_MIN // 1_000_000} MB are needed.\n"
            "Make room, or choose another one: NEBANNPET_DATA=/some/where make run",
            EXIT_DATA_DIRECTORY,
        )


@contextlib.contextmanager
def lock_data_directory(paths: Paths, address: str) -> Iterator[None]:
    """One supervisor for each data directory. The kernel frees the lock when its holder dies, however it dies."""
    with paths.lock_file.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PreflightError(_who_runs(paths), EXIT_ALREADY_RUNNING) from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "address": address}))
        file.flush()
        yield
        file.truncate(0)


def _who_runs(paths: Paths) -> str:
    try:
        holder = json.loads(paths.lock_file.read_text())
        who = f"pid {holder['pid']}, at {holder['address']}"
        stop = f"Stop it with Ctrl-C in its terminal, or with: kill {holder['pid']}"
    except (OSError, ValueError, KeyError):
        who, stop = "starting or stopping right now", "Try again in a few seconds."
    return (
        f"Nebannpet is already running with the data directory {paths.data_dir} ({who}).\n"
        f"{stop}\nA second one needs its own: NEBANNPET_DATA=/some/where PORT=8001 make run"
    )


def check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PreflightError(
                f"Port {port} on {host} cannot be used: {error.strerror}{_holder_of(port)}.\n"
                f"Stop that program, or choose another port: PORT={port + 1 if port < 65535 else 8000} make run",
                EXIT_PORT_TAKEN,
            ) from error


def _holder_of(port: int) -> str:
    """' (by name, pid n)' where the system tells us; other users' processes are not visible everywhere."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN:
                if connection.pid:
                    return f" (by {psutil.Process(connection.pid).name()}, pid {connection.pid})"
                break
    return ""


def remove_stale_run_files(paths: Paths) -> None:
    """Process table and sockets that a killed supervisor left; call it holding the lock."""
    paths.process_table.unlink(missing_ok=True)
    for path in paths.own_sockets():
        path.unlink()
