"""The parts of `make bench` that could be wrong without anybody seeing it."""

import re

import pytest

from apps.gateway.serverframes import text_frame
from apps.matching.engine import Engine
from tests.benchmarks import page
from tests.benchmarks.bench_parts import without_client_ids
from tests.benchmarks.book_oracle import BookOracle
from tests.benchmarks.closed_client import frame_length, http_length
from tests.benchmarks.frames import frames
from tests.benchmarks.peers import PEERS, Peer
from tests.benchmarks.registry import Row, Series, load
from tests.benchmarks.workload import SHAPES, steps

COUNT = 3_000


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.PACKAGE)
@pytest.mark.parametrize("name", ["mix", "sweep"])
def test_a_book_of_pypi_gives_the_trades_of_the_independent_book(peer: type[Peer], name: str) -> None:
    pytest.importorskip(peer.PACKAGE.replace("-", "_"))
    oracle = BookOracle()
    commands = list(steps(SHAPES[name], COUNT, 7, oracle))
    book = peer()
    book.run(commands)
    assert book.trades() == oracle.trades
    assert len(oracle.trades) > 300


def test_a_target_is_judged_by_the_best_of_the_repeats() -> None:
    assert Row(figure="a", unit="/s", series=Series([3, 5, 4]), at_least=5).verdict == "met"
    assert Row(figure="a", unit="s", series=Series([3, 5, 4], lower_is_better=True), below=3).verdict == "missed"
    assert Row(figure="a", unit="s", series=Series([3])).verdict == ""


def test_the_page_shows_each_figure_and_keeps_the_words_around() -> None:
    row = {"benchmark": "engine", "figure": "mix", "engine": "native", "unit": "commands/CPU-s", "best": 4_200_000.0}
    row |= {"median": 4_000_000.0, "values": [1, 2], "ratio_median": 1.5, "target": ">= 4e+06", "verdict": "met"}
    row |= {"others": 0.125}
    rows = [row | {"note": "a | b"}]
    text = page.replaced(f"before\n{page.BEGIN}old\n{page.END}after\n", "20261121-230102", rows)
    assert text.startswith(f"before\n{page.BEGIN}\nRun of 2026-11-21 23:01 UTC; ")
    assert "2 repeats.\nBefore each benchmark other processes used 0.12 cores at most.\n" in text
    busy = page.section("20261121-230102", [*rows, rows[0] | {"benchmark": "peers", "others": 0.5}])
    assert "**Made beside other work**: before `peers` other processes used 0.50 cores." in busy
    older = page.section("20261121-230102", [{name: value for name, value in rows[0].items() if name != "others"}])
    assert "2 repeats.\nWhat other processes used was not asked.\n" in older
    assert text.endswith(f"{page.END}after\n")
    assert "old" not in text
    assert f"**engine**: {load()['engine'].title}\n" in text
    assert "| mix | native | 4,200,000 | 4,000,000 | commands/CPU-s | 1.5 | >= 4e+06 met | a \\| b |\n" in text
    with pytest.raises(SystemExit):
        page.replaced("no marks", "20261121-230102", rows)


def test_the_page_has_both_marks_and_a_word_about_each_target_that_is_missed() -> None:
    figures = page.PAGE.read_text(encoding="utf-8")
    _, begin, rest = figures.partition(page.BEGIN)
    tables, end, _ = rest.partition(page.END)
    assert begin and end  # noqa: PT018
    missed = re.findall(r"^\| (.+?) \|.* missed \|", tables, re.MULTILINE)
    not_met = page.PAGE.with_name("README.md").read_text(encoding="utf-8").partition("## What is not met")[2]
    assert [figure for figure in missed if f"`{figure}`" not in not_met] == []


def test_the_table_of_benchmarks_is_that_of_the_code() -> None:
    text = page.PAGE.with_name("measuring.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \|", text.partition("## Benchmarks")[2], re.MULTILINE)
    assert sorted(rows) == sorted(load())


def test_commands_without_client_ids_do_the_same_otherwise() -> None:
    work = frames("mix", COUNT, cache=None)
    counted = []
    for commands in (work.commands, without_client_ids(work.commands)):
        engine = Engine()
        engine.process(work.setup)
        engine.process(commands)
        counted.append(engine.counters())
    assert [found.seq for found in counted] == [counted[0].seq] * 2
    assert [found.open_orders for found in counted] == [counted[0].open_orders] * 2
    assert counted[0].remembered_client_ids > 500
    assert counted[1].remembered_client_ids == 0


def test_the_closed_loop_knows_where_an_answer_ends() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\n\r\n12345"
    assert http_length(answer + b"HTTP/1.1") == len(answer)
    assert http_length(answer[:20]) == 0
    for payload in (b"", b"x" * 125, b"x" * 126, b"x" * 70_000):
        frame = text_frame(payload)
        assert frame_length(frame + b"\x81") == len(frame)
    assert frame_length(b"\x81") == 0
