"""python -m tests.chaos.planted [name ...]: every planted bug must be found; prints found/planted, 1 if one is not.

Each bug is put into a copy of the tree in a temporary directory, never into this one. A finder that fails without any
bug finds nothing: all of them run on an untouched copy first (left out with --trust).
"""

import argparse
import ast
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.planted.bugs import BUGS, Bug, Finder
from tests.stack import BASE_DIR

TIME_LIMIT_S = 600
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "node_modules", "data", "__pycache__", ".*_cache", "build", "*.jsonl"
)


class NotPlantable(Exception):
    """The text to replace is not there exactly once: the code has changed, and so must bugs.py."""


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.planted")
    parser.add_argument("names", nargs="*", help="only these bugs")
    parser.add_argument("--trust", action="store_true", help="do not run the finders on the untouched code first")
    options = parser.parse_args()
    known = {bug.name: bug for bug in BUGS}
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"there is no bug {', '.join(unknown)}; known are {', '.join(known)}")
    bugs = [known[name] for name in options.names] if options.names else list(BUGS)
    found = 0
    with tempfile.TemporaryDirectory(prefix="nebannpet-planted-") as directory:
        parent = Path(directory)
        bad = {} if options.trust else _bad_finders(parent, bugs)
        for bug in bugs:
            tree = copied(parent, bug.name)
            plant(tree, bug)
            how = next((how for finder in bug.finders if finder not in bad and (how := fails(tree, finder))), "")
            found += bool(how)
            print(f"{'found' if how else 'NOT FOUND'}  {bug.name}: {how or bug.what}", flush=True)
            shutil.rmtree(tree)
    print(f"{found}/{len(bugs)} planted bugs found")
    return 0 if found == len(bugs) else 1


def _bad_finders(parent: Path, bugs: list[Bug]) -> dict[Finder, str]:
    """Finders that fail on the code as it is."""
    tree = copied(parent, "untouched")
    finders = dict.fromkeys(finder for bug in bugs for finder in bug.finders)
    bad = {finder: how for finder in finders if (how := fails(tree, finder))}
    for finder, how in bad.items():
        print(f"fails without any bug: python -m {' '.join(finder)}: {how}", flush=True)
    shutil.rmtree(tree)
    return bad


if __name__ == "__main__":
    sys.exit(main())
