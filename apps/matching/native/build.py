"""Compile the engine: `python -m apps.matching.native.build` prints the path, `--if-missing` only what it does.

The library's name says what it is made of: a hash of sources, generated header and options. So a changed source makes a
new file and an unchanged one is found, on a machine without a compiler too; two builds at once make the same file, each
in its own directory, and the last rename wins. Nothing is installed, no Python headers are needed.

Compilers, first that works: $CC, cc, gcc, clang, and ziglang of this Python environment, which has its own C library.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
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
SUFFIX: Final = ".dll" if sys.platform == "win32" else ".dylib" if sys.platform == "darwin" else ".so"

# Frames and rows are read through packed structs that lie over bytes; sums wrap and are then checked.
LANGUAGE: Final = ("-std=c11", "-fno-strict-aliasing", "-fwrapv")
WARNINGS: Final = ("-Wall", "-Wextra", "-Wshadow", "-Wpointer-arith", "-Wvla")
LIBRARY: Final = ("-O3", "-fPIC", "-shared", "-fvisibility=hidden")
# Records lie at any address, hence no check of alignment; without -fwrapv a sum that wraps is found.
SANITIZED: Final = (
    "-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
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


def library(directory: Path = BUILT, *, defines: Sequence[str] = ()) -> Path:
    """The compiled library, built where it is missing; NoCompiler where nothing can build it.

    `defines` are macros for a build of its own (tests plant bugs by them).
    """
    options = [*LANGUAGE, *LIBRARY, *(f"-D{name}" for name in defines)]
    path = _path(directory, options)
    if path.exists():
        return path
    tried = []
    for compiler in compilers():
        try:
            return compile_into(path, compiler, options, [MAIN])
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"{' '.join(compiler)}: {_told(error)}")
    raise NoCompiler("; ".join(tried) or "there is no cc, gcc, clang or ziglang")


def program(path: Path, source: Path, *, sanitized: bool = False) -> Path:
    """A program of `source` and the engine at `path`; `sanitized` with address and undefined-behaviour checks.

    NoCompiler where no compiler can build it.
    """
    options = [*LANGUAGE, *WARNINGS, "-Werror", *(SANITIZED if sanitized else ("-O2",))]
    tried = []
    for compiler in compilers():
        try:
            return compile_into(path, compiler, options, [MAIN, source])
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"{' '.join(compiler)}: {_told(error)}")
    raise NoCompiler("; ".join(tried) or "there is no cc, gcc, clang or ziglang")


def built(directory: Path = BUILT) -> Path | None:
    """The compiled library of these sources where it is there already."""
    path = _path(directory, [*LANGUAGE, *LIBRARY])
    return path if path.exists() else None


def _path(directory: Path, options: Sequence[str]) -> Path:
    return directory / f"nebannpet_engine-{fingerprint(options)}{SUFFIX}"


def fingerprint(options: Sequence[str]) -> str:
    """Hex digits of everything but the compiler that decides the library's bytes."""
    digest = blake2b(digest_size=10)
    for path in sorted([*SOURCES.glob("*.[ch]"), *INCLUDE.glob("*.h")]):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(layout.header().encode())
    digest.update("\0".join([*options, sys.platform, platform.machine()]).encode())
    return digest.hexdigest()


def compile_into(path: Path, compiler: Sequence[str], options: Sequence[str], sources: Sequence[Path]) -> Path:
    """Build in a directory of its own beside `path`, then rename. SubprocessError has what the compiler said."""
    path.parent.mkdir(parents=True, exist_ok=True)
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
