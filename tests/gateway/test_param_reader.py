"""An endpoint's own reader takes and refuses what `read` does, with the same words. No servers."""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import pytest

from apps.gateway.errors import ApiError
from apps.gateway.params import read
from apps.gateway.registry import Endpoint, load

TEXTS = ("1", "0.5", "BTCUSDT", "BUY", "LIMIT", "true", '["BTCUSDT"]', "é", "")


def outcome(reader: Callable[[Mapping[str, str]], dict[str, Any]], sent: Mapping[str, str]) -> object:
    try:
        return list(reader(sent).items())
    except ApiError as error:
        return error.body()


@pytest.mark.parametrize("endpoint", load().all(), ids=lambda each: f"{each.method} {each.path}")
def test_a_reader_reads_as_read_does(endpoint: Endpoint) -> None:
    names = [param.name for param in endpoint.params]
    good = {}
    for param in endpoint.params:
        for text in TEXTS[:-2]:
            try:
                param.parse(text)
            except ApiError:
                continue
            good[param.name] = text
            break
    cases: list[dict[str, str]] = [{}, good, {**good, "odd": "1"}, {**good, "timestamp": "1", "signature": ""}]
    cases += [{name: text} for name in names for text in TEXTS]
    cases += [{**good, name: text} for name in names for text in TEXTS]
    # Two wrong ones, in the order of declaration and the other way round: the same one is named.
    cases += [dict.fromkeys(pair, "é") for pair in pairwise(names)]
    cases += [dict.fromkeys(pair, "é") for pair in pairwise(reversed(names))]
    for sent in cases:
        assert outcome(endpoint.reader.read, sent) == outcome(lambda sent: read(endpoint.params, sent), sent), sent
