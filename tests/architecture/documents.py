"""The project's documents, for the tests that read them, and the commands in them."""

import argparse
import re
import shlex
from pathlib import Path

import yaml
from django.core.management import get_commands, load_command_class

from tests.architecture.sources import BASE_DIR

DOCS = BASE_DIR / "docs"
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    return [BASE_DIR / "README.md", *sorted(DOCS.rglob("*.md"))]


def commands(text: str) -> list[str]:
    """Lines of the fenced shell blocks, without variables in front of them and comments behind."""
    lines = [line.strip() for block in BLOCK.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    bare = [re.sub(r"(^|\s+)#.*$", "", line) for line in lines]
    return [re.sub(r"^(?:[A-Z_]+=\S+ +)+", "", line) for line in bare if line]


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
