"""Lines of all processes: prefixed on the console, whole in bounded files, and never in the way of the exchange."""

import asyncio
import io
import threading
from pathlib import Path

import pytest

from nebannpet import children, console
from nebannpet.children import describe_exit, pump
from nebannpet.console import Console


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class PausedTerminal(io.StringIO):
    """Takes nothing until released, like a terminal after Ctrl-S."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def write(self, text: str) -> int:
        self.released.wait(60)
        return super().write(text)


def test_line_has_time_name_and_text_and_goes_to_its_file(tmp_path: Path) -> None:
    shown = io.StringIO()
    writer = Console(tmp_path, shown)
    writer.line("matching", "epoch 3")
    writer.say("one\ntwo")
    writer.close()
    lines = shown.getvalue().splitlines()
    assert [line[9:] for line in lines] == ["matching   epoch 3", "nebannpet  one", "nebannpet  two"]
    assert (tmp_path / "matching.log").read_text().endswith("Z epoch 3\n")


def test_colour_only_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    for stream, coloured in ((Terminal(), True), (io.StringIO(), False)):
        writer = Console(tmp_path, stream)
        writer.line("site", "x")
        writer.close()
        assert ("\x1b[36m" in stream.getvalue()) is coloured
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    writer = Console(tmp_path, stream)
    writer.line("site", "x")
    writer.close()
    assert "\x1b" not in stream.getvalue()


def test_paused_terminal_loses_lines_but_blocks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "CONSOLE_QUEUE_LINES", 10)
    terminal = PausedTerminal()
    writer = Console(tmp_path, terminal)
    for number in range(100):
        writer.line("site", f"line {number}")
    terminal.released.set()
    writer.close()
    assert "lines not shown" in terminal.getvalue()
    assert (tmp_path / "site.log").read_text().count("\n") == 100


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "FILE_BYTES_MAX", 2_000)
    writer = Console(tmp_path, io.StringIO())
    for number in range(1_000):
        writer.line("site", f"line {number}")
    writer.close()
    files = sorted(tmp_path.glob("site.log*"))
    assert len(files) == console.FILES_KEPT + 1
    assert all(file.stat().st_size <= 2_100 for file in files)
    assert "line 999" in files[0].read_text()


def test_unwritable_file_is_said_once_and_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = io.StringIO()
    writer = Console(tmp_path / "missing", shown)
    (tmp_path / "missing").write_text("a file where the directory should be")
    writer.line("site", "one")
    writer.line("site", "two")
    writer.close()
    assert shown.getvalue().count("site") == 2
    assert capsys.readouterr().err.count("cannot be written") == 1


async def _pumped(*chunks: bytes) -> list[str]:
    stream = asyncio.StreamReader()
    lines: list[str] = []
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    await pump(stream, lines.append)
    return lines


async def test_pump_joins_pieces_and_keeps_an_unfinished_last_line() -> None:
    assert await _pumped(b"one\r\ntw", b"o\n\nlast \xff") == ["one", "two", "", "last \ufffd"]


async def test_pump_cuts_an_endless_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "LINE_BYTES_MAX", 1_000)
    lines = await _pumped(b"x" * 200_000)
    assert sum(map(len, lines)) == 200_000
    assert len(lines) > 1


def test_exits_are_described_in_words() -> None:
    assert describe_exit(3) == "exited with code 3"
    assert describe_exit(-9) == "was ended by SIGKILL"
    assert describe_exit(-99) == "was ended by signal 99"
