"""What became of the requests of a run, by kind, as numbers that several processes can add up."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from apps.gateway.loadgen.histogram import Histogram

PER_MILLE: Final = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p99.9": 999, "max": 1000}
ERRORS_SHOWN: Final = 20
# More different errors than this are counted together.
ERRORS_MAX: Final = 200
OTHER_ERRORS: Final = "other errors"


@dataclass(slots=True)
class Tally:
    """Of one kind of request: `latency` is of every answer, refusals included; `errors` counts them by code and text.

    `took_ms` is the time from the start of the run to the last answer.
    `unsent` never found a connection within the time limit, `unanswered` were sent and got no answer. Both are in
    `latency` with their time limit at least.
    """

    due: int = 0
    succeeded: int = 0
    unsent: int = 0
    unanswered: int = 0
    took_ms: int = 0
    latency: Histogram = field(default_factory=Histogram)
    errors: dict[str, int] = field(default_factory=dict)

    def error(self, text: str) -> None:
        if text not in self.errors and len(self.errors) >= ERRORS_MAX:
            text = OTHER_ERRORS
        self.errors[text] = self.errors.get(text, 0) + 1

    def merge(self, others: "Iterable[Tally]") -> None:
        for other in others:
            self.due += other.due
            self.succeeded += other.succeeded
            self.unsent += other.unsent
            self.unanswered += other.unanswered
            self.took_ms = max(self.took_ms, other.took_ms)
            self.latency.merge((other.latency,))
            for text, count in other.errors.items():
                self.errors[text] = self.errors.get(text, 0) + count

    @property
    def failed(self) -> int:
        return self.due - self.succeeded

    @property
    def without_answer(self) -> int:
        return self.unsent + self.unanswered


@dataclass(slots=True)
class Outcome:
    """`kinds`: tallies of 'orders', 'cancels' and 'reads'. `statuses` counts the order statuses of successful answers.

    `late`: how late requests were handed to a connection or its queue, a measure of the client itself.
    `took_ms` is the time of the whole run with its last cancels, `cpu_ms` what the client itself used.
    """

    kinds: dict[str, Tally] = field(default_factory=dict)
    statuses: dict[str, int] = field(default_factory=dict)
    late: Histogram = field(default_factory=Histogram)
    took_ms: int = 0
    cpu_ms: int = 0
    reconnects: int = 0
    left_open: int = 0
    interrupted: bool = False

    def tally(self, kind: str) -> Tally:
        return self.kinds.setdefault(kind, Tally())

    def merge(self, others: "Iterable[Outcome]") -> None:
        for other in others:
            for kind, tally in other.kinds.items():
                self.tally(kind).merge((tally,))
            for status, count in other.statuses.items():
                self.statuses[status] = self.statuses.get(status, 0) + count
            self.late.merge((other.late,))
            self.took_ms = max(self.took_ms, other.took_ms)
            self.cpu_ms += other.cpu_ms
            self.reconnects += other.reconnects
            self.left_open += other.left_open
            self.interrupted |= other.interrupted

    def summary(self) -> dict[str, Any]:
        """For programs: latencies in whole microseconds, rates in thousandths of a request a second."""
        return {
            "tookMs": self.took_ms,
            "clientCpuMs": self.cpu_ms,
            "lateUs": _latencies(self.late),
            "reconnects": self.reconnects,
            "leftOpen": self.left_open,
            "interrupted": self.interrupted,
            "orderStatuses": dict(sorted(self.statuses.items())),
            "kinds": {
                kind: {
                    "due": tally.due,
                    "succeeded": tally.succeeded,
                    "unsent": tally.unsent,
                    "unanswered": tally.unanswered,
                    "succeededPerKs": rate_per_ks(tally.succeeded, tally.took_ms),
                    "latencyUs": _latencies(tally.latency),
                    "errors": by_count(tally.errors),
                }
                for kind, tally in self.kinds.items()
            },
        }

    def report(self) -> str:
        """For people: one line a kind, then what went wrong."""
        names = "".join(f"{name:>10}" for name in PER_MILLE)
        lines = [f"{'':10}{'due':>10}{'ok':>10}{'no answer':>10}{'ok/s':>10}{names}   (ms)"]
        for kind, tally in self.kinds.items():
            rate = decimal(rate_per_ks(tally.succeeded, tally.took_ms), 1)
            shown = "".join(f"{decimal(tally.latency.at(share), 2):>10}" for share in PER_MILLE.values())
            lines.append(f"{kind:10}{tally.due:>10}{tally.succeeded:>10}{tally.without_answer:>10}{rate:>10}{shown}")
        late = "".join(f"{decimal(self.late.at(share), 2):>10}" for share in PER_MILLE.values())
        lines.append(f"{'late':10}{'':40}{late}")
        if self.statuses:
            found = ", ".join(f"{status} {count}" for status, count in sorted(self.statuses.items()))
            lines.append(f"orders answered: {found}")
        if any(tally.without_answer for tally in self.kinds.values()):
            lines.append("Requests without an answer count in the percentiles, with their time limit at least.")
        for kind, tally in self.kinds.items():
            if tally.unsent:
                lines.append(f"{kind}: {tally.unsent} were never sent: no connection was free in time")
            if tally.unanswered:
                lines.append(f"{kind}: {tally.unanswered} were sent and not answered in time")
            for text, count in list(by_count(tally.errors).items())[:ERRORS_SHOWN]:
                lines.append(f"{kind}: {count} x {text}")
        if self.reconnects:
            lines.append(f"{self.reconnects} connections broke and were made anew")
        if self.left_open:
            lines.append(f"{self.left_open} orders of this run could not be cancelled at its end")
        if self.interrupted:
            lines.append("The run was interrupted.")
        cpu = decimal(self.cpu_ms, 1)
        lines.append(f"{decimal(self.took_ms, 1)} s; the client itself used {cpu} s of CPU")
        return "\n".join(lines)


def by_count(errors: dict[str, int]) -> dict[str, int]:
    return dict(sorted(errors.items(), key=lambda item: (-item[1], item[0])))


def rate_per_ks(count: int, took_ms: int) -> int:
    """So many in a thousand seconds."""
    return count * 1_000_000 // took_ms if took_ms else 0


def decimal(thousandths: int, digits: int) -> str:
    """A number of thousandths with `digits` decimals, cut."""
    whole, rest = divmod(thousandths, 1000)
    return f"{whole}.{rest:03}"[: len(str(whole)) + 1 + digits]


def _latencies(histogram: Histogram) -> dict[str, int]:
    return {name: histogram.at(share) for name, share in PER_MILLE.items()}
