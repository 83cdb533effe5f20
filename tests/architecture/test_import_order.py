"""An app imports only from the apps before it; news travels upward as events or rows (docs/architecture.md 5)."""

from pathlib import Path

import pytest

from tests.architecture.sources import APPS, BASE_DIR, imported_modules, module_name, python_files


def violations(path: Path) -> list[str]:
    own = module_name(path).split(".")[1]
    found = []
    for line, name in imported_modules(path):
        parts = name.split(".")
        if parts[0] == "apps" and len(parts) > 1 and parts[1] in APPS and APPS.index(parts[1]) > APPS.index(own):
            found.append(f"{path.relative_to(BASE_DIR)}:{line} imports {name}")
    return found


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
    ],
)
def test_the_test_sees_each_way_of_importing(where: str, text: str, count: int) -> None:
    path = BASE_DIR / "apps" / where / "probe_of_the_import_test.py"
    try:
        path.write_text(text)
        assert len({line.split(" ")[0] for line in violations(path)}) == count
    finally:
        path.unlink()
