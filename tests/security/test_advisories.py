"""A package that pip-audit passes over is not one that it found to be good."""

from pathlib import Path
from typing import Any

from tests.security.advisories import NOT_RUN, locked, verdict

GOOD = {"name": "Django", "version": "5.2.1", "vulns": []}
BAD = {"name": "amqp", "version": "5.4", "vulns": [{"id": "PYSEC-1", "fix_versions": ["5.5"], "aliases": []}]}
SKIPPED = {"name": "kombu", "skip_reason": "Dependency not found on PyPI"}


def judged(*packages: dict[str, Any]) -> tuple[int, str]:
    return verdict({"dependencies": list(packages), "fixes": []}, {"django", "amqp", "kombu"})


def test_holes_are_named() -> None:
    code, text = judged(GOOD, BAD, {**GOOD, "name": "kombu"})
    assert (code, NOT_RUN in text) == (1, False)
    assert "amqp 5.4: PYSEC-1, mended in 5.5" in text


def test_all_good() -> None:
    assert judged(GOOD, *({**GOOD, "name": name} for name in ("amqp", "kombu")))[0] == 0


def test_skipped_and_absent_packages_are_named() -> None:
    code, text = judged(GOOD, SKIPPED)
    assert code == 1
    assert text.endswith(f"{NOT_RUN} for 2 packages without an answer: amqp, kombu")


def test_a_service_that_answers_for_none_checked_nothing() -> None:
    code, text = judged(*({**SKIPPED, "name": name} for name in ("Django", "amqp", "kombu")))
    assert (code, text) == (0, f"{NOT_RUN}: the advisory service answers for none of 3 packages")


def test_what_is_locked_for_this_platform(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text(
        "Foo_Bar==1.0 \\\n    --hash=sha256:00\n    # via x\n"
        "ours==2 ; sys_platform != 'no such' \\\n    --hash=sha256:00\nother==1 ; sys_platform == 'no such'\n"
    )
    assert locked((lock,)) == {"foo-bar", "ours"}
