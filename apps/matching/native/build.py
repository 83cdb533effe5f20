"""Compile the engine: `python -m apps.matching.native.build` prints the path, `--if-missing` only what it does.

What is built has a name that says what it is made of: a hash of sources, generated header and options. So a changed
source makes a new file and an unchanged one is found, on a machine without a compiler too. Of processes that want the
same, one builds and the others wait. Nothing is installed, no Python headers are needed.

Compilers, first that works: $CC, cc, gcc, clang, and ziglang of this Python environment, which has its own C library.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from apps.matching.native import layout

HERE: Final = Path(__file__).resolve().parent
SOURCES: Final = HERE / "src"
INCLUDE: Final = HERE / "include"
MAIN: Final = SOURCES / "nebannpet_engine.c"
BUILT: Final = HERE.parents[2] / "build" / "native"
NAME: Final = "nebannpet_engine"
SUFFIX: Final = ".dll" if sys.platform == "win32" else ".dylib" if sys.platform == "darwin" else ".so"

# Frames and rows are read through packed structs that lie over bytes; sums wrap and are then checked.
LANGUAGE: Final = ("-std=c11", "-fno-strict-aliasing", "-fwrapv")
WARNINGS: Final = ("-Wall", "-Wextra", "-Wshadow", "-Wpointer-arith", "-Wvla")
SHARED: Final = ("-fPIC", "-shared", "-fvisibility=hidden")
FAST: Final = ("-O3",)
QUICKLY: Final = ("-O0",)  # built in a second instead of seven
# Records lie at any address, hence no check of alignment; without -fwrapv a sum that wraps is found.
SANITIZED: Final = (
    "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
    "-fno-sanitize=alignment", "-fno-wrapv",
)  # fmt: skip
COMPILE_SECONDS_MAX: Final = 300


class NoCompiler(Exception):
    """No C compiler on this machine could build the engine; the message says what was tried."""


def compilers() -> Iterator[tuple[str, ...]]:
    """Command lines of C compilers that are there, best first."""
    seen = set()
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        words = tuple(name.split())
        path = shutil.which(words[0]) if words else None
        if path is not None and (os.path.realpath(path), *words[1:]) not in seen:
            seen.add((os.path.realpath(path), *words[1:]))
            yield (path, *words[1:])
    if find_spec("ziglang") is not None:
        yield (sys.executable, "-m", "ziglang", "cc")


def library(directory: Path = BUILT, *, optimised: Sequence[str] = FAST, defines: Sequence[str] = ()) -> Path:
    """The compiled library, built where it is missing; NoCompiler where nothing can build it.

    `defines` are macros for a build of its own.
    """
    options = [*LANGUAGE, *optimised, *SHARED, *(f"-D{name}" for name in defines)]
    return found_or_made(directory / f"{NAME}-{fingerprint(options)}{SUFFIX}", options, [MAIN])


def program(source: Path, directory: Path = BUILT, *, options: Sequence[str] = QUICKLY) -> Path:
    """A program of `source` and the engine. A warning is an error, as these are the builds that tests make.

    NoCompiler where no compiler can build it.
    """
    options = [*LANGUAGE, *WARNINGS, "-Werror", *options]
    return found_or_made(directory / f"{source.stem}-{fingerprint(options, source)}", options, [MAIN, source])


def found_or_made(path: Path, options: Sequence[str], sources: Sequence[Path]) -> Path:
    """`path` as it is, or built by the first compiler that works. NoCompiler where none does."""
    if path.exists():
        return path
    tried = []
    with _one_at_a_time(path.parent):
        if path.exists():
            return path
        for compiler in compilers():
            try:
                return compile_into(path, compiler, options, sources)
            except (OSError, subprocess.SubprocessError) as error:
                tried.append(f"{' '.join(compiler)}: {_told(error)}")
    raise NoCompiler("; ".join(tried) or "there is no cc, gcc, clang or ziglang")


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def built(directory: Path = BUILT) -> Path | None:
    """The compiled library of these sources where it is there already."""
    path = directory / f"{NAME}-{fingerprint([*LANGUAGE, *FAST, *SHARED])}{SUFFIX}"
    return path if path.exists() else None


def fingerprint(options: Sequence[str], *sources: Path) -> str:
    """Hex digits of everything but the compiler that decides what is built."""
    digest = blake2b(digest_size=10)
    for path in [*sorted([*SOURCES.glob("*.[ch]"), *INCLUDE.glob("*.h")]), *sources]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(layout.header().encode())
    digest.update("\0".join([*options, sys.platform, platform.machine()]).encode())
    return digest.hexdigest()


def compile_into(path: Path, compiler: Sequence[str], options: Sequence[str], sources: Sequence[Path]) -> Path:
    """Build in a directory of its own beside `path`, then rename. SubprocessError has what the compiler said."""
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        generated = Path(scratch, "layout.h")
        generated.write_text(layout.header(), encoding="ascii")
        made = Path(scratch, path.name)
        inputs = [f"-I{scratch}", f"-I{INCLUDE}", f"-I{SOURCES}", *map(str, sources)]
        subprocess.run(
            [*compiler, *options, *inputs, "-o", str(made)],
            check=True,
            capture_output=True,
            text=True,
            timeout=COMPILE_SECONDS_MAX,
        )
        made.replace(path)
    return path


def _told(error: Exception) -> str:
    lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def main() -> int:
    """Print the library's path, or why there is none. Says what it does only where it takes time."""
    if built() is None:
        sys.stdout.write("setup: compiling the matching engine\n")
    try:
        path = library()
    except NoCompiler as error:
        sys.stderr.write(f"The matching engine could not be compiled: {error}\n")
        return 1
    if "--if-missing" not in sys.argv[1:]:
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
