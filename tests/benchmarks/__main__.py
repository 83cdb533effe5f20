"""Command line of the benchmarks: all, or the named ones; one table on stdout, JSON lines into a file."""

import argparse
import json
import os
import platform
import sys
import time
import traceback
from pathlib import Path

from tests.benchmarks.others import cores_of_others
from tests.benchmarks.registry import Benchmark, Row, load, number

COLUMNS = (
    "benchmark",
    "figure",
    "engine",
    "unit",
    "best",
    "median",
    "ratio best",
    "ratio median",
    "ratio to",
    "target",
    "",
)
RESULTS = Path("build/benchmarks")


def main() -> int:
    benchmarks = load()
    apart = sorted(each.name for each in benchmarks.values() if each.apart)
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="run only these: " + ", ".join(sorted(benchmarks)))
    parser.add_argument("--all", action="store_true", help="also those that take minutes each: " + ", ".join(apart))
    parser.add_argument("--list", action="store_true", help="say what each benchmark measures")
    parser.add_argument("--json", type=Path, help="file for the JSON lines (default: a new one in build/benchmarks)")
    arguments = parser.parse_args()
    if arguments.list:
        for each in benchmarks.values():
            print(f"{each.name:20} {each.title}{' (only by name or with --all)' if each.apart else ''}")
        return 0
    unknown = [name for name in arguments.names if name not in benchmarks]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(sorted(benchmarks))}")

    names = arguments.names or [name for name, each in benchmarks.items() if arguments.all or not each.apart]
    lines: list[tuple[str, ...]] = []
    failed: list[str] = []
    others: list[float] = []
    started_s = time.monotonic()
    json_path: Path = arguments.json or RESULTS / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.jsonl"
    json_path.parent.mkdir(parents=True, exist_ok=True)
    with json_path.open("w", encoding="utf-8") as json_lines:
        for name in names:
            others.append(cores_of_others())
            began_s = time.monotonic()
            print(f"{name}: {benchmarks[name].title}", file=sys.stderr, flush=True)
            try:
                for row in benchmarks[name].run():
                    lines.append(_cells(name, row))
                    json_lines.write(json.dumps(_record(benchmarks[name], row, others[-1])) + "\n")
                    json_lines.flush()
                    print("  " + "  ".join(cell for cell in lines[-1][1:] if cell), file=sys.stderr, flush=True)
            except Exception:  # noqa: BLE001 - the others are worth their minutes all the same
                traceback.print_exc()
                failed.append(name)
            print(f"  ({time.monotonic() - began_s:.0f} s)", file=sys.stderr, flush=True)
    print(_table(lines))
    print(f"\nBest and median of the repeats; targets are judged by the best. JSON lines: {json_path}")
    print(f"To put them into docs/performance/figures.md: python -m tests.benchmarks.page {json_path}")
    print(
        f"Machine: {platform.machine()}, {os.cpu_count()} cores, {platform.python_implementation()}"
        f" {platform.python_version()}. Other processes used {max(others):.2f} cores at most, before each."
        f" Took {time.monotonic() - started_s:.0f} s."
    )
    if failed:
        print(f"FAILED, and why stands above: {', '.join(failed)}")
    return 1 if failed else 0


def _cells(name: str, row: Row) -> tuple[str, ...]:
    ratio = ("", "") if row.ratio is None else (f"{row.ratio.best:.4g}", f"{row.ratio.median:.4g}")
    return (
        name, row.figure, row.engine, row.unit, number(row.series.best), number(row.series.median), *ratio,
        row.ratio_to, row.target, " ".join(filter(None, (row.verdict, row.note))),
    )  # fmt: skip


def _record(benchmark: Benchmark, row: Row, others: float) -> dict[str, object]:
    return {
        "benchmark": benchmark.name,
        "figure": row.figure,
        "engine": row.engine,
        "unit": row.unit,
        "best": row.series.best,
        "median": row.series.median,
        "values": list(row.series.values),
        "ratio_best": row.ratio.best if row.ratio else None,
        "ratio_median": row.ratio.median if row.ratio else None,
        "ratio_to": row.ratio_to,
        "target": row.target,
        "verdict": row.verdict,
        "note": row.note,
        "others": others,
    }


def _table(lines: list[tuple[str, ...]]) -> str:
    cells = [COLUMNS, *lines]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    text.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(text)


if __name__ == "__main__":
    sys.exit(main())
