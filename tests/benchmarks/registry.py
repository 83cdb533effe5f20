"""Benchmarks by name, and the rows they report."""

import importlib
import os
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

RUNS = int(os.environ.get("BENCH_RUNS", "5"))


@dataclass(frozen=True, slots=True)
class Series:
    """The repeats of one figure. `lower_is_better` decides which one is the best."""

    values: Sequence[float]
    lower_is_better: bool = False

    @property
    def best(self) -> float:
        return min(self.values) if self.lower_is_better else max(self.values)

    @property
    def median(self) -> float:
        return median(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. A target is judged by the best value; `note` says what was set or left out.

    Rows of one figure and several engines are what stands side by side.
    """

    figure: str
    engine: str = ""
    unit: str
    series: Series
    ratio: Series | None = None
    ratio_to: str = ""
    at_least: float | None = None
    below: float | None = None
    note: str = ""

    @property
    def target(self) -> str:
        if self.at_least is not None:
            return f">= {number(self.at_least)}"
        return f"< {number(self.below)}" if self.below is not None else ""

    @property
    def verdict(self) -> str:
        """'met', 'missed' or '' where there is no target."""
        if self.at_least is not None:
            return "met" if self.series.best >= self.at_least else "missed"
        if self.below is not None:
            return "met" if self.series.best < self.below else "missed"
        return ""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """`apart`: not among those that run without being named, because it takes minutes."""

    name: str
    title: str
    run: Callable[[], Iterable[Row]]
    apart: bool = False


_BENCHMARKS: dict[str, Benchmark] = {}


def benchmark(
    name: str, title: str, *, apart: bool = False
) -> Callable[[Callable[[], Iterable[Row]]], Callable[[], Iterable[Row]]]:
    """Register a function that yields rows. The name is what the command line takes."""

    def register(run: Callable[[], Iterable[Row]]) -> Callable[[], Iterable[Row]]:
        if name in _BENCHMARKS:
            raise ValueError(f"two benchmarks are called {name}")
        _BENCHMARKS[name] = Benchmark(name, title, run, apart)
        return run

    return register


def number(value: float) -> str:
    """As a table shows it."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def load() -> dict[str, Benchmark]:
    """All benchmarks of the modules bench_*.py of this package, by name; the machine first, by which they are read."""
    names = [info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)])]
    for module in sorted(names, key=lambda name: (name != "bench_machine", name)):
        if module.startswith("bench_"):
            importlib.import_module(f"tests.benchmarks.{module}")
    return dict(_BENCHMARKS)
