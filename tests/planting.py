"""Putting known bugs into a copy of the tree, and asking a test whether it finds them.

Used by the planted bugs of recovery (tests/chaos/planted) and of the engine (tests/matching/engine/planted).
"""

import ast
import json
import shutil
import subprocess
import sys
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


def tests(*paths: str) -> Finder:
    """One after the other, up to the first that fails. The bugs are in Python: the compiled engine is not built again
    for each copy."""
    return ("pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider", "-k", "not native", *paths)


def plant(tree: Path, bug: Bug) -> None:
    for name, old, new in bug.edits:
        path = tree / name
        text = path.read_text("utf-8")
        if text.count(old) != 1:
            raise NotPlantable(f"{bug.name}: {name} has the old text {text.count(old)} times")
        planted = text.replace(old, new)
        ast.parse(planted)  # code that does not even run would be found by anything
        path.write_text(planted, "utf-8")


def fails(tree: Path, finder: Finder) -> str:
    """How the finder fails on that tree, in its own last words; empty when it passes."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", *finder], cwd=tree, capture_output=True, text=True, timeout=TIME_LIMIT_S
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
