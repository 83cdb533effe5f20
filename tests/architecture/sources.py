"""The project's own Python files, for the tests that read them."""

import ast
from collections.abc import Iterator
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# Low to high; an app imports only from those before it (docs/architecture.md section 5).
APPS = (
    *("common", "streams", "matching", "web", "audit", "outbox", "controls", "notifications", "status", "ledger"),
    *("accounts", "markets", "insurance", "orders", "gateway", "wallets", "staking", "monitoring", "incidents"),
    "releases",
)


def python_files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((BASE_DIR / folder).rglob("*.py"))]
    assert found, f"no Python files in {folders}"
    return found


def module_name(path: Path) -> str:
    parts = path.relative_to(BASE_DIR).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute module name) of every import in the file, also those inside functions.

    `from a.b import c` gives both a.b and a.b.c, since c may be a module.
    """
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield node.lineno, base
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
