"""The README names every variable and every make target there is, and none that is not."""

import re

from tests.architecture.sources import BASE_DIR, python_files

README = (BASE_DIR / "README.md").read_text()
READERS = "text|integer|flag|choice|words|directory|url|origin|email_server|sender|address"
READ_BY = re.compile(rf"env\.(?:{READERS})\(\s*\"([A-Z_]+)\"")


def test_every_variable_is_in_the_table() -> None:
    read = {name for path in python_files("nebannpet", "apps") for name in READ_BY.findall(path.read_text())}
    rows = README.split("## Variables")[1].split("## Layout")[0]
    listed = {
        name
        for row in rows.splitlines()
        if row.startswith("| `")
        for name in re.findall(r"[A-Z_]{4,}", row.split("|")[1])
    }
    internal = {"NEBANNPET_PROCESS"}  # set by manage.py from the command's name
    assert read - internal == listed


def test_every_target_is_in_the_table() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (BASE_DIR / "Makefile").read_text(), re.MULTILINE))
    listed = set(re.findall(r"\| `make ([a-z-]+)` \|", README))
    assert targets - {"help", "setup", "setup-test"} == listed
