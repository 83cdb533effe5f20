"""Bodies that a lenient parser would guess at: reliability.md section 3, the number list and the traps of DRF."""

from typing import Any

import pytest
from rest_framework.exceptions import ParseError
from rest_framework.serializers import ValidationError

from apps.web.api.fields import Amount, Flag, Sent, Text, WholeNumber
from apps.web.api.policy import BODY_BYTES_MAX, BODY_DEPTH_MAX
from apps.web.api.problems import Refused
from apps.web.api.strictjson import read_json

# As JSON: numbers of every spelling, and texts of them.
NUMBERS = [
    "-1",
    "0",
    "-0",
    "-0.0",
    "1e3",
    "1e-9",
    "1e308",
    "1e999",
    "NaN",
    "Infinity",
    "-Infinity",
    "0x10",
    "1_000",
    ".5",
    "5.",
    "01",
    "1.000000001",
    "0.1000000000000000055",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "true",
    "null",
    "[]",
    "{}",
    '"-1"',
    '"-0"',
    '"+1"',
    '"1e3"',
    '"1e999"',
    '"NaN"',
    '"Infinity"',
    '"0x10"',
    '"1_000"',
    '"\uff11\uff12"',
    '"\u0661"',
    '"1,5"',
    '".5"',
    '"5."',
    '"1.000000001"',
    '"\u22121"',
    '""',
]


class Body(Sent):
    amount = Amount()


@pytest.mark.parametrize("text", [*NUMBERS, '" 1 "', '"1\\n"', '"1\\u0000"', f'"{"9" * 400}"', "9" * 400])
def test_no_amount_is_guessed(text: str) -> None:
    try:
        sent = read_json(f'{{"amount": {text}}}'.encode())
    except ParseError:
        return
    assert not Body(data=sent).is_valid()


def test_amounts_are_whole_units() -> None:
    for text, units in (("0.5", 50_000_000), ("1", 100_000_000), ("0.00000001", 1), ("1.0000000000", 100_000_000)):
        body = Body(data=read_json(f'{{"amount": "{text}"}}'.encode()))
        assert body.is_valid()
        assert body.validated_data == {"amount": units}
    assert Amount().to_representation(1) == "0.00000001"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": "\\ud800"}',
        b'{"\\u0000": 1}',
        b"[" * (BODY_DEPTH_MAX + 1) + b"]" * (BODY_DEPTH_MAX + 1),
        b"[" * 16_000,
        b'{"a":' * 3_000,
        b"1.5",
        b"'a'",
        b"{a: 1}",
    ],
)  # fmt: skip
def test_what_is_no_body(raw: bytes) -> None:
    with pytest.raises(ParseError):
        read_json(raw)


def test_what_is_one() -> None:
    brackets = '"]}' + "[{" * 50 + '\\""'
    assert read_json(f'{{"a": [[[[[[[{brackets}]]]]]]]}}'.encode()) is not None
    assert read_json(b'{"a": -5, "b": "\xc3\xa9"}') == {"a": -5, "b": "é"}
    with pytest.raises(Refused) as refusal:
        read_json(b'"' + b"a" * BODY_BYTES_MAX + b'"')
    assert refusal.value.status_code == 413


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        (WholeNumber(), ["1", 1.0, True, None, 0, -1, 2**63, [], {}]),
        (Flag(), ["true", 1, 0, None, "on", []]),
        (Text(max_length=3), [1, True, None, "", "long", ["a"], {}]),
        (Amount(), [1, 0.5, True, None, [], {}]),
    ],
)
def test_kinds_are_not_turned_into_one_another(field: Any, wrong: list[Any]) -> None:
    for value in wrong:
        with pytest.raises(ValidationError):
            field.run_validation(value)
