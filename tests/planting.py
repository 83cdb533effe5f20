"""Putting known bugs into a copy of the tree, and asking a test whether it finds them.

Used by the planted bugs of recovery (tests/chaos/planted) and of both engines (tests/matching/engine/planted).
"""

import argparse
import ast
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.stack import BASE_DIR

TIME_LIMIT_S: Final = 600
LEFT_OUT: Final = shutil.ignore_patterns(
    ".git", ".venv", "node_modules", "data", "__pycache__", ".*_cache", "build", "*.jsonl"
)

Edit = tuple[str, str, str]
Finder = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bug:
    """`edits` are (file, old text, new text); the old text stands exactly once. `finders` are arguments for python -m:
    they pass on the code as it is, and at least one fails with the bug. `what` says why it is one.
    """

    name: str
    what: str
    edits: tuple[Edit, ...]
    finders: tuple[Finder, ...]


class NotPlantable(Exception):
    """The text to replace is not there exactly once: the code has changed, and so must the list of bugs."""


def pytest_with(*arguments: str) -> Finder:
    """One test after the other, up to the first that fails."""
    return ("pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", "-m", "not long or seeds", *arguments)


def tests(*paths: str) -> Finder:
    """Of a bug in Python: the compiled engine has none of it, and is not built again for each copy."""
    return pytest_with("-k", "not native", *paths)


def chosen(parser: argparse.ArgumentParser, names: Sequence[str], bugs: Sequence[Bug]) -> list[Bug]:
    """The bugs of these names, all of them without a name; ends the program where there is no such bug."""
    if unknown := sorted(set(names) - {bug.name for bug in bugs}):
        parser.error(f"there is no bug {', '.join(unknown)}; known are {', '.join(bug.name for bug in bugs)}")
    return [bug for bug in bugs if not names or bug.name in names]


def planted(text: str, edit: Edit, bug: Bug) -> str:
    """The file's text with the edit; NotPlantable says what to do where it does not fit."""
    name, old, new = edit
    if text.count(old) != 1:
        raise NotPlantable(
            f"planted bug {bug.name} ({bug.what}): {old!r} stands {text.count(old)} times in {name}. The code has "
            "changed: plant the same mistake by a text that stands there once, or leave it out where the rule is gone"
        )
    wrong = text.replace(old, new)
    if name.endswith(".py"):
        ast.parse(wrong)  # code that does not even run would be found by anything
    return wrong


def plant(tree: Path, bug: Bug) -> None:
    for edit in bug.edits:
        path = tree / edit[0]
        path.write_text(planted(path.read_text("utf-8"), edit, bug), "utf-8")


def check_fits(bug: Bug) -> None:
    """NotPlantable unless each edit fits the code as it is, and every test that must find the bug is there."""
    for edit in bug.edits:
        planted((BASE_DIR / edit[0]).read_text("utf-8"), edit, bug)
    for argument in (argument for finder in bug.finders for argument in finder if argument.startswith("tests/")):
        if not (BASE_DIR / argument.partition("::")[0]).exists():
            raise NotPlantable(f"planted bug {bug.name}: there is no {argument}, which must find it")


def fails(tree: Path, finder: Finder, **variables: str) -> str:
    """How the finder fails on that tree, in its own last words; empty when it passes."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", *finder],
            cwd=tree,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {TIME_LIMIT_S} s"
    if done.returncode == 0:
        return ""
    words = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR", '{"seed"'))]
    if not words:
        return f"code {done.returncode}: {(done.stdout + done.stderr).strip()[-300:]}"
    if words[0].startswith("{"):
        return "; ".join(json.loads(words[0])["broken"])[:300]
    return words[0][:300]


def copied(parent: Path, name: str) -> Path:
    tree = parent / name
    shutil.copytree(BASE_DIR, tree, ignore=LEFT_OUT, symlinks=True)
    (tree / "node_modules").symlink_to(BASE_DIR / "node_modules")
    return tree
