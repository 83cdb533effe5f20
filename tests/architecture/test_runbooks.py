"""Every reason to stop has its page, every page its parts, and every command in docs/ exists with these arguments."""

import argparse
import re
import shlex
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands, load_command_class

from apps.matching import errors
from apps.matching.errors import Halt
from apps.orders.errors import OtherSettlement, SettlementStopped
from tests.architecture.sources import BASE_DIR

DOCS = BASE_DIR / "docs"
RUNBOOKS = DOCS / "runbooks"
PARTS = ("What you see", "What it means", "What works meanwhile", "Look", "Repair", "Check", "Never")
# Pages for what is no halt of a shard.
OTHERS = {
    "gateway-503", "worker-replaced", "standby-not-following", "poison-command", "clock-jump", "settlement-stopped",
    "settlement-twice", "archive-stopped", "reconcile-different", "redis-core-stopped", "redis-core-full",
    "postgres-away", "disk-full",
}  # fmt: skip
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def halts() -> list[type[Halt]]:
    """Every class that can be raised: the base itself is not."""
    found, left = [], [Halt]
    while left:
        children = left.pop().__subclasses__()
        found += children
        left += children
    assert len(found) > 10
    return [halt for halt in found if halt.__module__ == errors.__name__]


def pages() -> dict[str, str]:
    return {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md") if path.name != "README.md"}


def documents() -> list[Path]:
    return sorted(DOCS.rglob("*.md"))


def commands(text: str) -> list[str]:
    """Lines of the fenced shell blocks, without variables in front of them and comments behind."""
    lines = [line.strip() for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    bare = [re.sub(r"(^|\s+)#.*$", "", line) for line in lines]
    return [re.sub(r"^(?:[A-Z_]+=\S+ +)+", "", line) for line in bare if line]


def test_every_halt_has_a_page_and_every_page_is_of_something() -> None:
    reasons = [halt.reason for halt in halts()]
    assert len(set(reasons)) == len(reasons), "two halts with one reason"
    assert set(pages()) == set(reasons) | OTHERS


def test_every_page_has_all_parts_in_order() -> None:
    for name, text in pages().items():
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == list(PARTS), name
        assert text.startswith(f"# {name}: "), name
        for part in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
            assert len(part.strip()) > 40, name
        assert commands(text), f"{name} has no command"


def test_the_index_names_every_page_once() -> None:
    listed = re.findall(r"^\| \[([a-z0-9-]+)\]\(\1\.md\)", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(pages())


def test_every_halt_says_where_its_page_is() -> None:
    for halt in halts():
        arguments = {"good_entries": 0} if halt is errors.BadCommand else {}
        assert f"docs/runbooks/{halt.reason}.md" in str(halt("what was found.", **arguments)), halt


def test_settlement_stops_in_ways_that_have_a_page() -> None:
    """Each text of SettlementStopped in the code is quoted in the table of its page."""
    page = pages()["settlement-stopped"]
    for stop in (SettlementStopped, OtherSettlement):
        assert stop.page in pages()
        assert f"docs/runbooks/{stop.page}.md" in str(stop("what was found"))
    for text in (
        "redis-core lost events", "only in the archive", "different histories", "but the next entry begins at",
        "but the next entry follows", "does not match its bytes", "epoch falls", "not gapless", "unknown version",
        "unknown kind", "this database did not send them all", "which this database does not have",
        "an invariant is broken",
    ):  # fmt: skip
        sources = "\n".join(path.read_text() for path in (BASE_DIR / "apps/orders/settlement").glob("*.py"))
        assert text in re.sub(r"\"\s*f?\"", "", sources), f"settlement does not say {text!r}"
        assert text in page, f"settlement-stopped.md does not say {text!r}"


# -- commands ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_commands_of_the_documents_exist(path: Path) -> None:
    for line in commands(path.read_text()):
        problem = wrong_with(line)
        assert problem == "", f"{path.relative_to(BASE_DIR)}: {line}: {problem}"


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_commands_in_the_text_exist(path: Path) -> None:
    named = set(re.findall(r"`manage\.py ([a-z_]+)", path.read_text()))
    assert named <= set(get_commands()), f"{path.name} names {named - set(get_commands())}"


def wrong_with(line: str) -> str:
    """Why this command of ours cannot be run; '' for a good one and for other programs."""
    words = shlex.split(line)
    if words[0] == "make":
        known = set(re.findall(r"^([a-z-]+):", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
        targets = [word for word in words[1:] if "=" not in word]
        return "" if set(targets) <= known else f"make knows {sorted(known)}"
    if words[:2] == ["docker", "compose"]:
        return _wrong_with_compose(words[2:])
    if words[0].endswith("python"):
        words = words[1:]
    if words[0] != "manage.py":
        return ""
    name, arguments = words[1], words[2:]
    if name not in get_commands():
        return f"manage.py has no command {name}"
    app = get_commands()[name]
    parser = load_command_class(app if isinstance(app, str) else app.__module__, name).create_parser("manage.py", name)
    try:
        parser.parse_args(arguments)
    except (argparse.ArgumentError, SystemExit, Exception) as error:  # noqa: BLE001  whatever a parser says
        return f"manage.py {name} does not take {arguments}: {error}"
    return ""


def _wrong_with_compose(words: list[str]) -> str:
    files = ["docker-compose.yml", "docker-compose.two-site.yml"]
    while words[0] == "-f":
        if not (BASE_DIR / words[1]).is_file():
            return f"there is no {words[1]}"
        files.append(words[1])
        words = words[2:]
    services = {name for file in files for name in yaml.safe_load((BASE_DIR / file).read_text())["services"]}
    if words[0] in {"stop", "start", "restart", "logs"}:
        named = {word for word in words[1:] if not word.startswith("-")}
        return "" if named <= services else f"compose has {sorted(services)}"
    if words[0] in {"exec", "run"}:
        rest = list(words[1:])
        while rest[0].startswith("-"):
            del rest[: 2 if rest[0] == "-v" else 1]
        return wrong_with(shlex.join(rest[1:])) if rest[0] in services else f"compose has {sorted(services)}"
    return "" if words[0] in {"up", "ps", "down"} else "unknown to this test"


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ("manage.py engine_status --json", True),
        ("NEBANNPET_DATA=/elsewhere .venv/bin/python manage.py restore BACKUP", True),
        ("make run", True),
        ("docker compose -f docker-compose.yml -f docker-compose.scale.yml restart gateway-2", True),
        ("docker compose -f docker-compose.none.yml up", False),
        ("ls -l data", True),
        ("docker compose restart matching", True),
        ("manage.py engine_statuz", False),
        ("manage.py engine_status --jason", False),
        ("manage.py process stop", True),  # the command itself asks for the name
        ("manage.py restore", False),
        ("manage.py market BTCUSDT explode --reason x", False),
        ("make everything", False),
        ("docker compose restart matcher", False),
        ("docker compose run --rm -v HERE:/there site python manage.py restore /there/NAME", True),
        ("docker compose run --rm -v HERE:/there site python manage.py restored /there/NAME", False),
    ],
)
def test_the_test_sees_commands_that_do_not_exist(line: str, good: bool) -> None:
    (command,) = commands(f"```sh\n{line}\n```\n")
    assert (wrong_with(command) == "") is good


# -- links ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(DOCS).as_posix())
def test_links_of_the_documents_lead_somewhere(path: Path) -> None:
    for target, anchor in LINK.findall(path.read_text()):
        found = (path.parent / target) if target else path
        assert found.exists(), f"{path.relative_to(BASE_DIR)} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert anchor in {_anchor(heading) for heading in headings}, f"{path.name} links to {target}#{anchor}"


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_the_map_names_every_document() -> None:
    """A folder of documents is named by its README, which names the pages beside it."""
    for folder in (DOCS, *(path.parent for path in DOCS.glob("*/README.md"))):
        text = (folder / "README.md").read_text()
        beside = {path.name for path in folder.glob("*.md")} - {"README.md"}
        below = {path.relative_to(folder).as_posix() for path in folder.glob("*/README.md")}
        missing = {name for name in beside | below if f"]({name})" not in text}
        assert missing == set(), f"{folder.relative_to(BASE_DIR)}/README.md does not name {missing}"
