"""Which engine matches, by setting and by what is built; who is told."""

import pytest

from apps.matching.engine import Engine
from apps.matching.engines import BEST, CHOICES, NATIVE, PLAIN, NotBuilt, chosen_engine
from apps.matching.native import build
from apps.matching.native.build import NoCompiler
from apps.matching.native.engine import Engine as NativeEngine
from apps.matching.shards import numbered
from nebannpet.settings import base


def test_the_compiled_engine_is_chosen_where_it_is_built() -> None:
    try:
        build.library()
    except NoCompiler as error:
        pytest.skip(str(error))
    assert chosen_engine(BEST) is chosen_engine(NATIVE) is NativeEngine
    assert chosen_engine(PLAIN) is Engine


def test_without_it_the_plain_one_matches_unless_native_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "built", lambda: None)
    assert chosen_engine(BEST) is chosen_engine(PLAIN) is Engine
    with pytest.raises(NotBuilt, match=r"no compiled engine: python -m apps\.matching\.native\.build"):
        chosen_engine(NATIVE)


def test_the_setting_knows_the_same_words() -> None:
    assert base.ENGINE in CHOICES


def test_a_shard_of_its_own_numbers_orders_after_its_base_in_both() -> None:
    for engine_class in (Engine, NativeEngine):
        assert numbered(engine_class, "drill")().snapshot() == numbered(Engine, "drill")().snapshot()
        assert numbered(engine_class, "spot") is engine_class
