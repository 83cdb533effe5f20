"""One spelling per address, and clear refusals of everything that is not one."""

import pytest

from apps.accounts.addresses import normalise_email
from apps.accounts.errors import InvalidEmail


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("alice@example.org", "alice@example.org"),
        ("  Alice@Example.ORG ", "alice@example.org"),
        ("a.b+tag@sub.example.org", "a.b+tag@sub.example.org"),
        ("bob@bücher.example", "bob@xn--bcher-kva.example"),
        ("BOB@BÜCHER.example", "bob@xn--bcher-kva.example"),
    ],
)
def test_one_spelling(typed: str, stored: str) -> None:
    assert normalise_email(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "alice",
        "@example.org",
        "alice@",
        "alice@@example.org",
        "al ice@example.org",
        "alice@example",
        "älice@example.org",
        "\u0430lice@example.org",  # Cyrillic a
        "alice@exam ple.org",
        "alice@example..org",
        "alice\x00@example.org",
        "alice@example.org\nbcc: x@example.org",
        "a" * 300 + "@example.org",
        "alice@" + "b" * 300 + ".org",
        '"alice"@example.org',
        '"a\x0bx:y"@example.org',
        "ali\x7fce@example.org",
        "=?utf-8?q?root?=@example.org",
    ],
)
def test_refused(typed: str) -> None:
    with pytest.raises(InvalidEmail):
        normalise_email(typed)
