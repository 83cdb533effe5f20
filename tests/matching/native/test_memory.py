"""Memory that is taken before the first command changes what a command costs and nothing else."""

from apps.matching.engine import Engine as PlainEngine
from apps.matching.engines import prepare
from apps.matching.native.engine import Engine as NativeEngine
from tests.benchmarks import memory
from tests.benchmarks.frames import setup_frames
from tests.matching.engine.random_orders import Commands


def test_reserved_memory_leaves_the_same_bytes() -> None:
    """Before the first command, between two of them, and less of it than the state takes."""
    commands = Commands(7)
    bare, prepared = NativeEngine(50), NativeEngine(50)
    prepare(prepared)
    for turn in range(600):
        if turn % 200 == 100:
            prepared.reserve(turn)
        frames = commands.next()
        assert prepared.process(frames) == bare.process(frames)
    assert prepared.snapshot() == bare.snapshot()
    assert prepared.memory_bytes == bare.memory_bytes
    prepared.validate()


def test_a_body_that_is_worth_reserving_for_restores_to_itself() -> None:
    """Above 8 MB a restored engine takes its memory at once."""
    engine = NativeEngine()
    engine.process(setup_frames())
    memory.add(engine, memory.plain, 0, 80_000)
    body = engine.snapshot()
    assert len(body) > 8 << 20
    restored = NativeEngine.restore(body)
    restored.validate()
    assert restored.snapshot() == body


def test_the_plain_engine_needs_no_preparation() -> None:
    engine = PlainEngine(50)
    before = engine.snapshot()
    prepare(engine)
    assert engine.snapshot() == before
