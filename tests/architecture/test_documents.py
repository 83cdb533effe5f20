"""What the documents name exists: commands with these arguments, links, files; and the maps name every document."""

import re
from pathlib import Path

import pytest
from django.core.management import get_commands
from django.urls import Resolver404, resolve

from tests.architecture.documents import DOCS, commands, documents, wrong_with
from tests.architecture.sources import BASE_DIR, python_files
from tests.pages.places import PAGES

LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
FILE = re.compile(r"(?<![\w/.-])((?:apps|nebannpet|tests|static|templates|docs)/[\w./-]*\w)(?![\w./]*[<*{])")
CITED = re.compile(r"\brequirements? ((?:[A-Z]\d+(?:, | and )?)+)")
LINE_LENGTH_MAX = 120
LOG_NAME = "audit"  # in its checkpoints the audit log is called `/audit` behind the host
EACH = pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(BASE_DIR).as_posix())


@EACH
def test_commands_of_the_documents_exist(path: Path) -> None:
    for line in commands(path.read_text()):
        problem = wrong_with(line)
        assert problem == "", f"{path.relative_to(BASE_DIR)}: {line}: {problem}"


@EACH
def test_commands_in_the_text_exist(path: Path) -> None:
    """With their arguments, where any are named; a name alone stands for the command, whatever it takes."""
    known = {"help", "X", *get_commands()}
    for found in re.findall(r"`((?:[A-Z_]+=\S+ )*(?:manage\.py|make) [^`]+)`", path.read_text()):
        (line,) = commands(f"```sh\n{' '.join(found.split())}\n```\n")
        problem = "" if line.removeprefix("manage.py ") in known else wrong_with(line)
        assert problem == "", f"{path.relative_to(BASE_DIR)}: {line}: {problem}"


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


@EACH
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


def test_decisions_are_listed_by_their_titles() -> None:
    rows = dict(
        re.findall(r"^\| \[(\d{4})\]\(.+\) \| (.+) \|$", (DOCS / "decisions" / "README.md").read_text(), re.MULTILINE)
    )
    titles = dict(path.read_text().partition("\n")[0].split(" ", 2)[1:] for path in (DOCS / "decisions").glob("0*.md"))
    assert rows == titles


@EACH
def test_lines_of_prose_are_no_longer_than_those_of_the_code(path: Path) -> None:
    """Tables and examples are as wide as they must be."""
    prose = re.sub(r"^ *```.*?^ *```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    long = [line for line in prose.splitlines() if len(line) > LINE_LENGTH_MAX and not line.lstrip().startswith("|")]
    assert long == [], f"{path.relative_to(BASE_DIR)}: break these lines at {LINE_LENGTH_MAX} characters"


@EACH
def test_files_that_the_documents_name_exist(path: Path) -> None:
    """Test files of the table of threats are named from tests/ on; test_threats.py looks for those."""
    if path.name != "threats.md":
        for name in FILE.findall(path.read_text()):
            assert (BASE_DIR / name).exists(), f"{path.relative_to(BASE_DIR)} names {name}"


@EACH
def test_pages_that_the_documents_name_exist(path: Path) -> None:
    """Those that begin as one of the site does; trading-api.md shortens those of the API, unknown to Django."""
    first = {re.sub(r"\W.*", "", place.route.lstrip("^")) for place in PAGES} - {"", LOG_NAME}
    named = re.findall(r"`/((\w+)[^`\s?#]*)`", path.read_text())
    for address in {address for address, begin in named if begin in first and path.name != "trading-api.md"}:
        assert _resolves(re.sub(r"<[^>]*>", "1", address)), f"{path.relative_to(BASE_DIR)} names /{address}"


def _resolves(address: str) -> bool:
    try:
        return bool(resolve(f"/{address}"))
    except Resolver404:
        return False


def test_documents_that_the_code_names_exist() -> None:
    """Messages lead whoever reads them to a page; comments and docstrings, too."""
    for path in python_files("apps", "nebannpet", "tests"):
        for name in re.findall(r"(?<![\w/.-])docs/[\w/-]+\.(?:md|csv|py)\b", path.read_text()):
            assert (BASE_DIR / name).is_file(), f"{path.relative_to(BASE_DIR)} names {name}"


def test_requirements_that_are_cited_have_their_row() -> None:
    """The ids behind the word; in brackets alone, as (T13, F1), they are not told from other letters with a number."""
    texts = [path.read_text() for path in (*python_files("apps", "nebannpet", "tests"), *documents())]
    cited = {each for text in texts for ids in CITED.findall(text) for each in re.findall(r"[A-Z]\d+", ids)}
    rows = re.findall(r"^\| ([A-Z0-9, ]+) \|", (DOCS / "requirements.md").read_text(), re.MULTILINE)
    assert len(cited) > 20
    assert cited - set(", ".join(rows).split(", ")) == set()
