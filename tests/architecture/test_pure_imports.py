"""The contract and the engine load with Django and Redis blocked (docs/architecture.md sections 1 and 5)."""

import subprocess
import sys

from tests.architecture.sources import BASE_DIR, module_name, python_files

BLOCKED = ("django", "redis", "psycopg", "uvicorn", "httpx")
PROGRAM = """
import importlib, sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Block())
for name in {modules!r}:
    importlib.import_module(name)
print("loaded", len({modules!r}))
"""


def load(modules: list[str]) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(blocked=BLOCKED, modules=modules)
    return subprocess.run([sys.executable, "-c", program], cwd=BASE_DIR, capture_output=True, text=True)


def pure_modules() -> list[str]:
    names = [module_name(path) for path in python_files("apps/common", "apps/streams", "apps/matching/engine")]
    return [name for name in names if not (name + ".").startswith("apps.streams.bus.")]


def test_contract_and_engine_load_without_django_and_redis() -> None:
    modules = pure_modules()
    done = load(modules)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"loaded {len(modules)}\n"


def test_the_block_blocks() -> None:
    done = load(["redis"])
    assert done.returncode != 0
    assert "blocked: redis" in done.stderr
