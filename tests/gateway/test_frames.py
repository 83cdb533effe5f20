"""WebSocket API frames and stream control messages as texts. No servers."""

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.gateway.limits.counting import Usage
from apps.gateway.limits.tiers import PRODUCTION, order_rows, weight_row
from apps.gateway.streams import control
from apps.gateway.streams.control import ControlError
from apps.gateway.wsapi import frames
from apps.gateway.wsapi.frames import FrameError, Request


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ('{"id":1,"method":"ping"}', "1"),
        ('{"id":"1","method":"ping"}', '"1"'),
        ('{"id":null,"method":"ping"}', "null"),
        ('{"method":"ping"}', "null"),
        ('{"id":9007199254740993,"method":"ping"}', "9007199254740993"),
        ('{"id":"a\\"b","method":"ping"}', '"a\\"b"'),
    ],
)
def test_ids_are_echoed_with_their_type(text: str, echo: str) -> None:
    assert frames.parse(text).id == echo


@pytest.mark.parametrize(
    ("text", "echo"),
    [
        ('{"id":1,"method":"m","params":{"a":1,"a":2}}', "1"), ('{"method":"m","method":"m","id":"x"}', '"x"'),
        ('{"id":1,"id":2,"method":"m"}', "null"), ('{"id":1.5,"method":"m","params":{"a":1,"a":2}}', "null"),
        ('{"method":"m","params":{"id":1,"id":1}}', "null"), ('[{"a":1,"a":2}]', "null"),
        ('{"id":1,"params":{"a":1,"a":2}', "null"), ('{"id":1,"params":{"a":1,"a":2},"b":' + "[" * 50_000, "null"),
    ],
)  # fmt: skip
def test_a_frame_that_repeats_a_name_is_refused_under_its_id(text: str, echo: str) -> None:
    with pytest.raises(FrameError) as refused:
        frames.parse(text)
    assert (refused.value.request_id, refused.value.error.number) == (echo, -1101)


def test_numbers_keep_their_literal_text() -> None:
    """0.1 + binary floating point would be 0.1000000000000000055; the literal is what counts."""
    text = '{"id":1,"method":"m","params":{"a":0.1000000000000000055,"b":1e3,"c":12345678901234567890,"d":"0.10"}}'
    params = frames.parse(text).params
    assert params == {
        "a": "0.1000000000000000055", "b": "1e3", "c": "12345678901234567890", "d": "0.10",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "[]", "1", "null", '"a"', "{", '{"id":1}', '{"id":1,"method":2}', '{"id":1,"method":"a b"}',
        '{"id":1,"method":"ping","params":[]}', '{"id":1,"method":"ping","params":{"a":{}}}',
        '{"id":1,"method":"ping","params":{"a":[1]}}', '{"id":1,"method":"ping","params":{"a":[[]]}}',
        '{"id":1,"method":"ping","params":{"a":1,"a":2}}',
        '{"id":1,"id":2,"method":"ping"}', '{"id":1.5,"method":"ping"}',
        '{"id":{},"method":"ping"}', '{"id":true,"method":"ping"}', '{"id":"' + "a" * 37 + '","method":"ping"}',
        '{"id":"\\ud800","method":"ping"}', '{"id":1,"method":"ping","params":{"a":"\\u0661"}}',
        '{"id":1,"method":"ping","extra":1}', '{"id":1,"method":"ping","params":{"\\u00e9":"1"}}',
        '{"id":1,"method":"ping","params":{"\\ud800":{}}}', '{"id":1,"method":"ping","\\ud800":1}',
        "[" * 60_000, '{"params":' * 5_000, '{"id":NaN,"method":"ping"}',
    ],
)  # fmt: skip
def test_garbage_is_refused(text: str) -> None:
    with pytest.raises(FrameError) as refused:
        frames.parse(text)
    answer = json.loads(frames.refusal(refused.value.request_id, refused.value.error))
    assert answer["status"] == 400
    assert answer["error"]["code"] in (-1135, -1100, -1101)


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse, refusal in ((frames.parse, FrameError), (control.parse, ControlError)):
        try:
            parse(text)  # type: ignore[operator]
        except refusal:
            continue


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_any_json_is_parsed_or_refused(value: object) -> None:
    for text in (json.dumps(value), json.dumps({"id": 1, "method": "ping", "params": value})):
        for parse, refusal in ((frames.parse, FrameError), (control.parse, ControlError)):
            try:
                parse(text)  # type: ignore[operator]
            except refusal:
                continue


def test_signed_messages_are_sorted_raw_and_encoded() -> None:
    raw, encoded = frames.signed_messages({"b": "x y", "a": "1", "signature": "s"})
    assert (raw, encoded) == (b"a=1&b=x y", b"a=1&b=x%20y")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("x", 3), ("", 3), ("[" * 50_000, 3), ("[]", 2), ('{"method":"NO","id":1}', 2),
        ('{"method":"SUBSCRIBE","params":"x","id":1}', 2), ('{"method":"SUBSCRIBE","params":[],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[1],"id":1}', 2), ('{"method":"SUBSCRIBE","params":["a b"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["x@trade"],"id":1.5}', 2),
        ('{"method":"SUBSCRIBE","params":["x@trade"],"more":1}', 2),
        ('{"method":"SUBSCRIBE","params":["' + "x" * 101 + '"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["x@trade"],"id":true}', 2),
    ],
)  # fmt: skip
def test_bad_control_messages(text: str, code: int) -> None:
    with pytest.raises(ControlError) as refused:
        control.parse(text)
    assert refused.value.answer()["error"]["code"] == code


@pytest.mark.parametrize(
    ("request_", "code", "text"),
    [
        ({"method": "GET_PROPERTY", "params": ["speed"]}, 0, "Unknown property"),
        ({"method": "SET_PROPERTY", "params": ["speed", True]}, 0, "Unknown property"),
        ({"method": "SET_PROPERTY", "params": ["combined", "yes"]}, 1, "Invalid value type: expected Boolean"),
        ({"method": "SET_PROPERTY", "params": ["combined", 1]}, 1, "Invalid value type: expected Boolean"),
        ({"method": "SET_PROPERTY", "params": ["combined"]}, 1, "Invalid value type: expected Boolean"),
        ({"method": "GET_PROPERTY", "params": []}, 2, "Invalid request: property name must be a string"),
        ({"method": "GET_PROPERTY"}, 2, "Invalid request: property name must be a string"),
        ({"method": "SET_PROPERTY", "params": [1, True]}, 2, "Invalid request: property name must be a string"),
        ({"method": "GET_PROPERTY", "params": ["combined", True]}, 2, "Invalid request: too many parameters"),
        ({"method": "SET_PROPERTY", "params": ["combined", True, 1]}, 2, "Invalid request: too many parameters"),
        ({"method": "LIST_SUBSCRIPTIONS", "params": ["a"]}, 2, "Invalid request: too many parameters"),
        ({"params": ["a@trade"]}, 2, "Invalid request: missing field `method`"),
        ({"method": "subscribe", "params": ["a@trade"]}, 2, "Invalid request: unknown variant subscribe, expected one "
         "of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"),
    ],
)  # fmt: skip
def test_refusals_of_control_messages_in_the_words_of_the_dialect(request_: object, code: int, text: str) -> None:
    with pytest.raises(ControlError) as refused:
        control.parse(json.dumps({**request_, "id": "a1"}))  # type: ignore[dict-item]
    assert refused.value.answer() == {"error": {"code": code, "msg": text}, "id": "a1"}


def test_control_ids_keep_their_type() -> None:
    for request_id in (1, "1", None, -5):
        text = json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": request_id})
        assert control.parse(text).request_id == request_id


def test_rate_limits_of_an_answer_are_the_tier_s_rows_with_what_is_used() -> None:
    usage = Usage(verdict=0, until_ms=0, weight=7, requests=9, orders_10_s=2, orders_day=3)
    rows = [*order_rows(PRODUCTION, (2, 3)), weight_row(PRODUCTION, 7)]
    text = frames.rate_limits(PRODUCTION, usage, shows_orders=True)
    assert json.loads(f'{{"x":0{text}}}')["rateLimits"] == rows
    text = frames.rate_limits(PRODUCTION, usage, shows_orders=False)
    assert json.loads(f'{{"x":0{text}}}')["rateLimits"] == rows[2:]


_VALUES = st.sampled_from(["1", "0", "-1", "1.0", "1e5", "true", "null", "[1]", "{}", '["a"]', '"a:b, c"', '"\\u0041"'])
_FIELDS = st.lists(st.tuples(st.sampled_from(["a", "b", "c d", "\\u0061"]), st.just('"x"') | st.just("12") | _VALUES))
_IDS = st.sampled_from(["1", '"q"', "0", "-1", "1.5", "null", "9" * 19, "1" + "0" * 19, '"' + "a" * 37 + '"'])


def _outcome(parse: Callable[[str], Request], text: str) -> object:
    try:
        return parse(text)
    except FrameError as refusal:
        return refusal.request_id, refusal.error.body()


@given(_IDS, _FIELDS, st.sampled_from(["", " ", "\n"]))
def test_a_plain_frame_is_read_as_a_close_look_reads_it(number: str, pairs: list[tuple[str, str]], space: str) -> None:
    """A repeated name too, which the quick decoder would not see."""
    params = f",{space}".join(f'"{name}":{space}{value}' for name, value in pairs)
    text = f'{{"id":{space}{number},"method":"order.place","params":{{{params}}}}}'
    assert _outcome(frames.parse, text) == _outcome(frames.parse_closely, text)
