from pathlib import Path

import pytest

from apps.orders.promotion.errors import PromotionRefused
from apps.orders.promotion.progress import NAME, Begun, Progress


def test_what_was_begun_is_read_back(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    assert progress.read() is None
    begun = Begun(shard="spot", begun_ms=1, seq=7, state_hash="ab")
    progress.write(begun)
    assert Progress(tmp_path).read() == begun
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"shard": "spot"}', '{"other": 1}', "7"])
def test_another_file_is_refused_and_stays(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(PromotionRefused, match="is not what a promotion writes"):
        Progress(tmp_path).read()
    assert (tmp_path / NAME).read_text() == text
