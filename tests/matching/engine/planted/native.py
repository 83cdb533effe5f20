"""Planted bugs of the compiled engine: all in one library of the tests, which has the one that a variable names.

The library is made of a copy of the sources, in which a choice between the right code and the wrong one takes the place
of each bug's text. It is compiled once. Nothing in apps/ knows of it, and what everybody else compiles has no choices.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from apps.matching.native import build
from tests.matching.engine.planted.native_bugs import BUGS, NATIVE, TESTS, macro, on_native
from tests.matching.engine.planted.plugin import LIBRARY
from tests.planting import Bug, fails, plant
from tests.stack import BASE_DIR

VARIABLE: Final = "PLANTED_BUG"
OPTIONS: Final = (*build.LANGUAGE, *build.QUICKLY, *build.SHARED)
ROOT: Final = "planted.c"
CHOICE: Final = """\
#define _DEFAULT_SOURCE 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {{ NO_BUG, {macros} }};
static const char *const planted_names[] = {{"", {names}}};
static unsigned planted_bug;
#define PLANTED(bug) (planted_bug == (bug))

__attribute__((constructor)) static void choose_bug(void) {{
    const char *name = getenv("{variable}");
    if (!name) return;
    for (; strcmp(planted_names[planted_bug], name); planted_bug++)
        if (planted_bug == {count}) {{
            fprintf(stderr, "there is no planted bug %s\\n", name);
            abort();
        }}
}}

#include "{main}"
"""

# What `make test` runs of the compiled engine, but for what compiles it itself.
QUICK: Final = on_native(
    *(f"{NATIVE}test_{name}.py" for name in ("differential_even", "differential_odd", "call_auctions", "restarts")),
    *(f"{NATIVE}test_{name}.py" for name in ("snapshots", "high_prices", "growth", "settings_bodies")),
    TESTS,
)


def choose_in(directory: Path, bugs: Sequence[Bug] = BUGS) -> Path:
    """The sources with a choice at each bug; the file that is compiled. NotPlantable where a bug does not fit."""
    sources = directory / build.SOURCES.relative_to(BASE_DIR)
    shutil.copytree(build.SOURCES, sources)
    for bug in bugs:
        plant(directory, bug)
    root = sources / ROOT
    root.write_text(
        CHOICE.format(
            macros=", ".join(macro(bug.name) for bug in bugs),
            names=", ".join(f'"{bug.name}"' for bug in bugs),
            count=len(bugs),
            variable=VARIABLE,
            main=build.MAIN.name,
        ),
        "utf-8",
    )
    return root


def library_with_bugs(directory: Path) -> Path:
    """Compiled, which takes seconds. NoCompiler where nothing can build it."""
    return build.found_or_made(directory / f"planted{build.SUFFIX}", OPTIONS, [choose_in(directory)])


def how_it_dies(library: Path, bug: Bug) -> str:
    """The last words of the first test that fails; empty where all pass."""
    variables = {LIBRARY: str(library), VARIABLE: bug.name}
    return next((how for finder in (*bug.finders, QUICK) if (how := fails(BASE_DIR, finder, **variables))), "")


class NativeEngine:
    """One library for all bugs; the tests run on this tree, and change nothing in it."""

    def __init__(self, directory: Path, jobs: int) -> None:
        self.library = library_with_bugs(directory)

    def fails_without(self) -> str:
        """How the tests fail on the library without a bug; empty when they pass."""
        return fails(BASE_DIR, QUICK, **{LIBRARY: str(self.library)})

    def how_it_dies(self, bug: Bug) -> str:
        return how_it_dies(self.library, bug)
