"""Two engines over the same commands: they agree on every byte of every event, or the shortest stream that shows where
they do not is printed.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from itertools import zip_longest
from random import Random
from time import monotonic
from typing import Any, Protocol

from apps.streams.codec import decode_command, decode_events
from apps.streams.commands import ControlCommand
from apps.streams.kinds import CommandKind, Reason, Source
from apps.streams.records import COMMANDS, CONTROL_HEAD_SIZE, FRAME_SIZE
from tests.oracle.streams import History, Step


class EngineLike(Protocol):
    """The interface that both engines and the model have."""

    def process(self, frames: bytes, /) -> bytes: ...

    def skip(self, run: bytes, reason: Reason, /) -> bytes: ...

    def validate(self) -> None: ...


WITH_ORDERS = (CommandKind.REPLACE_ORDER, CommandKind.PLACE_BLOCK, CommandKind.PLACE_LIST)
Make = Callable[[], EngineLike]


class Disagreement(AssertionError):
    pass


def answer(engine: EngineLike, step: Step) -> bytes:
    frames, skip_reason = step
    return engine.process(frames) if skip_reason is None else engine.skip(frames, skip_reason)


def first_difference(steps: Sequence[Step], left: Make, right: Make) -> tuple[int, str] | None:
    """(index, nature) of the first step that is answered differently."""
    one, two = left(), right()
    for index, step in enumerate(steps):
        given, expected = attempt(one, step), attempt(two, step)
        if given != expected:
            return index, nature(given, expected)
    return None


def nature(left: bytes | str, right: bytes | str) -> str:
    """What differs, so that a shorter stream is known to show the same: what failed, or kind and fields of an event."""
    if isinstance(left, str) or isinstance(right, str):
        return " and ".join(text.split(":")[0] for text in (left, right) if isinstance(text, str))
    for one, two in zip_longest(decode_events(left), decode_events(right)):
        if type(one) is not type(two):
            return f"{type(one).__name__} or {type(two).__name__}"
        names = [field.name for field in fields(one) if getattr(one, field.name) != getattr(two, field.name)]
        if names:
            return f"{type(one).__name__} {' '.join(names)}" + (
                f" {one.reason} {two.reason}" if "reason" in names else ""
            )
    return "padding"


def attempt(engine: EngineLike, step: Step) -> bytes | str:
    try:
        return answer(engine, step)
    except Exception as error:  # noqa: BLE001 - the difference is reported, not passed over
        return f"{type(error).__name__}: {error}"


def shrink(steps: list[Step], left: Make, right: Make, *, seconds_max: float = 30) -> list[Step]:
    """Drop commands, in halves, quarters ... single ones, while the last of what is left still differs in the same way.

    `steps` must differ at its last one. A dropped relayed command leaves a gap where both stop: another way.
    """
    found = first_difference(steps, left, right)
    assert found is not None
    direct = [unnumbered(step) for step in steps]
    if first_difference(direct, left, right) == found:
        steps = direct
    size, until = len(steps) // 2, monotonic() + seconds_max
    while size and monotonic() < until:
        at, dropped = 0, False
        while at < len(steps) - 1 and monotonic() < until:
            shorter = steps[:at] + steps[min(at + size, len(steps) - 1) :]
            difference = first_difference(shorter, left, right)
            if difference is not None and difference[1] == found[1]:
                steps, dropped = shorter[: difference[0] + 1], True
            else:
                at += size
        if size > 1 or not dropped:
            size //= 2
    return steps


def unnumbered(step: Step) -> Step:
    """A relayed command as one of source DIRECT, so that others may be dropped before it."""
    layout = COMMANDS[CommandKind(step[0][1])]
    if "source" not in layout.names:
        return step
    values = list(layout.struct.unpack_from(step[0]))
    values[2 + layout.names.index("source")] = Source.DIRECT
    packed = bytearray(step[0])
    length = CONTROL_HEAD_SIZE if issubclass(layout.record, ControlCommand) else FRAME_SIZE
    packed[:length] = layout.struct.pack(*values)[:length]
    return bytes(packed), step[1]


def report(title: str, steps: list[Step], left: Make, right: Make) -> str:
    """The shrunk stream as records, and the two lists of events of its last command."""
    if first_difference(steps, left, right) is None:
        return f"{title}: both fail at {describe(steps[-1][0])}"
    shortest = shrink(steps, left, right)
    one, two = left(), right()
    lines = [title, f"shrunk from {len(steps)} to {len(shortest)} commands:"]
    answers: tuple[bytes | str, bytes | str] = (b"", b"")
    for step in shortest:
        lines.append(f"  {'skip ' if step[1] else ''}{describe(step[0])}")
        answers = attempt(one, step), attempt(two, step)
    if isinstance(answers[0], str) or isinstance(answers[1], str):
        return "\n".join([*lines, f"left: {answers[0]!r}", f"right: {answers[1]!r}"])
    events = [decode_events(answers[0]), decode_events(answers[1])]
    equal = 0
    while equal < min(map(len, events)) and events[0][equal] == events[1][equal]:
        equal += 1
    lines.append(f"the first {equal} events of the last command are equal, then")
    for name, given in zip(("left", "right"), events, strict=True):
        lines += [f"{name}:", *(f"  {event}" for event in given[equal:])]
    return "\n".join(lines)


def describe(run: bytes) -> str:
    try:
        head: Any = decode_command(run)
        found, at = [repr(head)], FRAME_SIZE
        while head.KIND in WITH_ORDERS and at < len(run) and run[at + 1] == CommandKind.PLACE_ORDER:
            found.append(repr(decode_command(run, at)))
            at += FRAME_SIZE * max(1, run[at + 2])
        return " + ".join(found)
    except (UnicodeDecodeError, ValueError):
        return run.hex()


def agree(title: str, history: History, count: int, left: Make, right: Make) -> tuple[EngineLike, EngineLike]:
    """Both over `count` commands of the history, which hears what `right` answers; Disagreement where they differ."""
    one, two = left(), right()
    steps: list[Step] = []
    for index in range(count):
        step = history.next()
        steps.append(step)
        given, expected = attempt(one, step), attempt(two, step)
        if given != expected or isinstance(expected, str):
            raise Disagreement(report(f"{title}, command {index}", steps, left, right))
        history.hear(expected)
    return one, two


def agree_in_calls(
    title: str, history: History, count: int, left: Make, right: Make, longest: int
) -> tuple[EngineLike, EngineLike]:
    """The same where `right` gets up to `longest` commands a call, cut at random, and `left`, which the history hears,
    one. A skipped command is a call of its own.
    """
    one, two, cuts = left(), right(), Random(title)
    steps: list[Step] = []
    run, expected, ends = bytearray(), bytearray(), cuts.randint(1, longest)

    def compare(found: bytes | str, wanted: bytes | bytearray) -> None:
        if found == wanted:
            return
        place = f"{title}, a call that ends with command {len(steps) - 1}"
        if first_difference(steps, left, right) is None:
            raise Disagreement(f"{place}: they agree where each command is a call")
        raise Disagreement(report(place, steps, left, right))

    for index in range(count):
        step = history.next()
        steps.append(step)
        if step[1] is not None and run:
            compare(attempt(two, (bytes(run), None)), expected)
            run.clear()
            expected.clear()
        given = answer(one, step)
        history.hear(given)
        if step[1] is not None:
            compare(attempt(two, step), given)
            continue
        run += step[0]
        expected += given
        if index == ends or index == count - 1:
            compare(attempt(two, (bytes(run), None)), expected)
            run.clear()
            expected.clear()
        if index == ends:
            ends += cuts.randint(1, longest)
    return one, two
