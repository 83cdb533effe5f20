"""The engine needs neither Django nor Redis nor numpy, and no float or clock ever enters it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ENGINE = Path("apps/matching/engine")
MODULES = sorted(ENGINE.glob("*.py"))
FORBIDDEN_IMPORTS = {"time", "datetime", "random", "os", "decimal", "fractions", "math", "secrets", "uuid", "socket"}


def test_it_imports_with_django_redis_and_numpy_blocked() -> None:
    script = (
        "import sys; sys.modules.update({n: None for n in ('django', 'redis', 'numpy')});"
        "import apps.matching.engine as e; print(e.Engine().seq)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_float_no_division_no_clock_no_chance(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant):
            assert not isinstance(node.value, float | complex), f"line {node.lineno}: a float"
        if isinstance(node, ast.BinOp | ast.AugAssign):
            assert not isinstance(node.op, ast.Div), f"line {node.lineno}: '/' makes a float"
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & FORBIDDEN_IMPORTS
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in FORBIDDEN_IMPORTS
        if isinstance(node, ast.Name):
            assert node.id not in {"float", "round", "hash", "id"}, f"line {node.lineno}: {node.id}"
