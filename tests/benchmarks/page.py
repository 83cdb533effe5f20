"""Put the figures of one run into docs/performance/figures.md, between the two marks there.

    .venv/bin/python -m tests.benchmarks.page build/benchmarks/20261121-230000.jsonl

Without a file, the newest run that has figures of the engine. What stood between the marks is replaced; the words
around them are the author's.
"""

import json
import os
import platform
import sys
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.registry import load as benchmarks
from tests.benchmarks.registry import number

PAGE: Final = Path("docs/performance/figures.md")
RUNS_DIRECTORY: Final = Path("build/benchmarks")
BUSY: Final = 0.2  # cores that other processes use
BEGIN: Final = "<!-- figures of one run: python -m tests.benchmarks.page -->\n"
END: Final = "<!-- end of the figures -->\n"
HEAD: Final = "| figure | engine | best | median | unit | ratio | target | |\n|---|---|---|---|---|---|---|---|\n"


def main(arguments: list[str]) -> int:
    path = Path(arguments[0]) if arguments else _newest()
    rows = _rows(path)
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), path.stem, rows), encoding="utf-8")
    print(f"{len(rows)} figures of {path} are in {PAGE}")
    return 0


def replaced(text: str, name: str, rows: list[dict[str, Any]]) -> str:
    """The page with the run's tables between the marks. SystemExit where they are not there."""
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{PAGE} has not both marks, {BEGIN.strip()} and {END.strip()}")
    return before + BEGIN + section(name, rows) + mark + after


def section(name: str, rows: list[dict[str, Any]]) -> str:
    """The run's tables in Markdown; `name` is its UTC date and time."""
    date = f"{name[:4]}-{name[4:6]}-{name[6:8]} {name[9:11]}:{name[11:13]} UTC"
    repeats = max(len(row["values"]) for row in rows)
    lines = [
        f"\nRun of {date}; {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()};"
        f" {repeats} repeats.{_beside_what(rows)}\n"
    ]
    titles = {each.name: each.title for each in benchmarks().values()}
    for benchmark, group in groupby(rows, key=lambda row: row["benchmark"]):
        lines += [f"\n**{benchmark}**: {titles.get(benchmark, '')}\n\n", HEAD, *map(_line, group)]
    return "".join([*lines, "\n"])


def _beside_what(rows: list[dict[str, Any]]) -> str:
    known = [row for row in rows if "others" in row]
    if len(known) < len(rows):
        return "\nWhat other processes used was not asked."
    busiest = max(known, key=lambda row: row["others"])
    if busiest["others"] <= BUSY:
        return f"\nBefore each benchmark other processes used {busiest['others']:.2f} cores at most."
    return (
        f"\n**Made beside other work**: before `{busiest['benchmark']}` other processes used {busiest['others']:.2f}"
        " cores. CPU figures suffer because caches and memory are shared; figures by the wall clock, and all verdicts,"
        " say nothing.\n"
    )


def _line(row: dict[str, Any]) -> str:
    ratio = "" if row["ratio_median"] is None else number(row["ratio_median"])
    verdict = " ".join(filter(None, (row["target"], row["verdict"])))
    cells = (
        row["figure"], row["engine"], number(row["best"]), number(row["median"]), row["unit"], ratio, verdict,
        row["note"],
    )  # fmt: skip
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _newest() -> Path:
    for path in sorted(RUNS_DIRECTORY.glob("*.jsonl"), reverse=True):
        if any(row["benchmark"] == "engine" for row in _rows(path)):
            return path
    raise SystemExit(f"{RUNS_DIRECTORY} has no run with figures of the engine; make bench makes one")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
