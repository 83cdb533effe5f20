"""Starts one child so that it cannot outlive its supervisor, and not as root where the program refuses that.

    python launch.py --parent PID --signal N --pipe FD [--nice N] [--uid N --gid N] -- program arguments...

It runs as its own small program between fork and exec, so nothing of it happens inside the supervisor.

Linux: the kernel sends the child signal N when the supervisor dies, whatever the reason (PR_SET_PDEATHSIG); this
program then becomes the child. Elsewhere it stays as a guard: the supervisor holds the other end of pipe FD, and when
that closes the guard ends the child.

Dropping root: PostgreSQL refuses to run as root, but a checkout under root's home cannot be entered by anyone else.
So the child keeps the one capability to pass directories and read files, nothing more (capabilities(7), "ambient").

Only the standard library, so that it starts in a few milliseconds with `python -I -S`.
"""

import argparse
import ctypes
import os
import selectors
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySet(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _must(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def drop_root(uid: int, gid: int) -> None:
    """Become `uid`; on Linux keep the right to pass directories and read files if root had it."""
    if sys.platform != "linux":
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        return
    libc = _libc()
    header = _CapabilityHeader(LINUX_CAPABILITY_VERSION_3, 0)
    held = (_CapabilitySet * 2)()
    _must(libc.capget(ctypes.byref(header), held), "capget")
    # Containers often withhold the narrower one.
    kept = next((c for c in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if held[0].permitted & (1 << c)), None)
    _must(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS")
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if kept is None:
        return
    wanted = (_CapabilitySet * 2)(_CapabilitySet(1 << kept, 1 << kept, 1 << kept), _CapabilitySet(0, 0, 0))
    _must(libc.capset(ctypes.byref(header), wanted), "capset")
    _must(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept, 0, 0), "PR_CAP_AMBIENT")


def die_with_parent(parent: int, number: int) -> None:
    """Ask the kernel for signal `number` at the parent's death; exits at once if it is dead already."""
    _must(_libc().prctl(PR_SET_PDEATHSIG, number, 0, 0, 0), "PR_SET_PDEATHSIG")
    if os.getppid() != parent:
        sys.exit("launch: the supervisor is gone")


def guard(command: list[str], pipe: int, number: int) -> int:
    """Run `command` and end it when `pipe` closes; termination signals are passed on. Returns its exit code."""
    child = subprocess.Popen(command, start_new_session=False)
    for passed_on in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(passed_on, lambda got, _frame: child.send_signal(got))
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while child.poll() is None:
            if selector.select(timeout=0.2) and not os.read(pipe, 1):
                child.send_signal(number)
                try:
                    child.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    child.kill()
                child.wait()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--pipe", type=int, required=True)
    parser.add_argument("--nice", type=int, default=0, help="how much processor time it leaves to the others")
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("--guard", action="store_true", help="guard by pipe even where the kernel could do it")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    os.nice(options.nice)
    if options.uid is not None:
        drop_root(options.uid, options.gid)
    if options.guard or sys.platform != "linux":
        sys.exit(guard(options.command, options.pipe, options.signal))
    # After drop_root, because a change of user clears it.
    die_with_parent(options.parent, options.signal)
    os.close(options.pipe)
    os.execv(options.command[0], options.command)  # noqa: S606  # nosec B606 # no shell is wanted


if __name__ == "__main__":
    main()
