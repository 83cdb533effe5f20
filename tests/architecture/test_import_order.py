"""An app imports only from the apps before it; news travels upward as events or rows (docs/architecture.md 5)."""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.sources import APPS, BASE_DIR, imported_modules, module_name, python_files


def violations(path: Path) -> list[str]:
    own = APPS.index(module_name(path).split(".")[1])
    return [
        f"{path.relative_to(BASE_DIR)}:{line} imports {' > '.join(way)}"
        for line, name in imported_modules(path)
        for way in ways_to_apps(name)
        if place(way[-1]) > own
    ]


def place(name: str) -> int:
    """Of an app's module in the order; -1 for all else."""
    parts = name.split(".")
    return APPS.index(parts[1]) if parts[0] == "apps" and len(parts) > 1 and parts[1] in APPS else -1


def ways_to_apps(name: str) -> Iterator[tuple[str, ...]]:
    """To itself where it is an app's; from a module of nebannpet/, through others there to those of apps."""
    ways, seen = [(name,)], {name}
    while ways:
        way = ways.pop()
        if place(way[-1]) >= 0:
            yield way
        for each in wiring().get(way[-1], ()):
            if each not in seen:
                seen.add(each)
                ways.append((*way, each))


@cache
def wiring() -> dict[str, list[str]]:
    """What each module of nebannpet/ imports; its packages, too, which Python loads before it."""
    return {
        module_name(path): [name for _, name in imported_modules(path)] + list(packages_of(module_name(path)))
        for path in python_files("nebannpet")
    }


def packages_of(name: str) -> Iterable[str]:
    parts = name.split(".")
    return (".".join(parts[:size]) for size in range(1, len(parts)))


def test_every_app_has_its_place_in_the_order() -> None:
    present = {path.name for path in (BASE_DIR / "apps").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert present <= set(APPS)


def test_no_app_imports_a_later_one() -> None:
    files = [path for path in python_files("apps") if path.parent != BASE_DIR / "apps"]
    assert sorted({line for path in files for line in violations(path)}) == []


def test_wiring_is_imported_by_nothing_pure() -> None:
    """nebannpet/ knows settings and processes; the contract and the engine know neither."""
    files = python_files("apps/common", "apps/streams", "apps/matching/engine")
    found = [
        f"{path.relative_to(BASE_DIR)}:{line} imports {name}"
        for path in files
        for line, name in imported_modules(path)
        if name.split(".")[0] == "nebannpet"
    ]
    assert found == []


@pytest.mark.parametrize(
    ("where", "text", "count"),
    [
        ("ledger", "from apps.gateway import core", 1),
        ("ledger", "def f():\n    import apps.orders.models", 1),
        ("ledger", "from apps import orders", 1),
        ("ledger", "from ..orders import models", 1),
        ("ledger", "from apps.streams import records\nfrom apps.ledger import rules\nimport orders", 0),
        ("orders", "from . import models\nfrom apps.ledger.models import Entry", 0),
        # By way of nebannpet/: itself, a module of it, and one that imports another.
        ("ledger", "from nebannpet.errorpages import server_error", 1),
        ("ledger", "from nebannpet import env, errorpages", 1),
        ("audit", "def f():\n    import nebannpet.urls", 1),
        ("ledger", "from nebannpet.health import Health\nfrom nebannpet import env", 0),
    ],
)
def test_the_test_sees_each_way_of_importing(where: str, text: str, count: int) -> None:
    path = BASE_DIR / "apps" / where / "probe_of_the_import_test.py"
    try:
        path.write_text(text)
        assert len({line.split(" ")[0] for line in violations(path)}) == count
    finally:
        path.unlink()
