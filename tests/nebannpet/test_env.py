"""Environment variables are read strictly: each wrong value is a message with the variable's name."""

from collections.abc import Callable

import pytest

from nebannpet import env
from nebannpet.env import ConfigurationError, EmailServer

NAME = "NEBANNPET_TESTED"


def integer() -> int:
    return env.integer(NAME, minimum=1, maximum=65535)


def test_missing_variable_without_default_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    with pytest.raises(ConfigurationError, match=NAME):
        env.text(NAME)


def test_empty_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "  ")
    assert env.text(NAME, "chosen") == "chosen"
    assert env.integer(NAME, 7, minimum=1, maximum=9) == 7


@pytest.mark.parametrize("text", ["x", "1.0", "1e3", "0x10", "1_0", "+1", "--1", "٣", "0", "65536", "-1", "9" * 5000])
def test_integer_refuses(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ConfigurationError, match=NAME):
        integer()


def test_integer_accepts_its_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for text, value in (("1", 1), ("65535", 65535), (" 80 ", 80)):
        monkeypatch.setenv(NAME, text)
        assert integer() == value


@pytest.mark.parametrize(("text", "value"), [("1", True), ("yes", True), ("On", True), ("0", False), ("FALSE", False)])
def test_flag(text: str, value: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, text)
    assert env.flag(NAME, default=not value) is value


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda: env.flag(NAME, False), "maybe"),
        (lambda: env.flag(NAME, False), "2"),
        (lambda: env.choice(NAME, ("a", "b")), "c"),
        (lambda: env.url(NAME, ("redis", "unix")), "http://somewhere"),
        (lambda: env.url(NAME, ("redis", "unix")), "nothing"),
        (lambda: env.origin(NAME), "https://exchange.example/"),
        (lambda: env.origin(NAME), "https://exchange.example/path"),
        (lambda: env.origin(NAME), "https://"),
        (lambda: env.origin(NAME), "exchange.example"),
        (lambda: env.email_server(NAME), "mail.example:587"),
        (lambda: env.email_server(NAME), "http://mail.example"),
        (lambda: env.email_server(NAME), "smtp://"),
        (lambda: env.email_server(NAME), "smtp://user@mail.example"),
        (lambda: env.email_server(NAME), "smtp://mail.example:0x10"),
        (lambda: env.email_server(NAME), "smtp://mail.example:70000"),
        (lambda: env.email_server(NAME), "smtp://mail.example/path"),
        (lambda: env.email_server(NAME), "smtp://mail.example?tls=maybe"),
        (lambda: env.email_server(NAME), "smtp://mail.example?TLS=off"),
        (lambda: env.email_server(NAME), "smtp://user:password@mail.example?tls=off"),
        (lambda: env.email_server(NAME), "smtps://mail.example?tls=off"),
        (lambda: env.sender(NAME), "Nebannpet"),
        (lambda: env.sender(NAME), "Nebannpet <no-reply>"),
        (lambda: env.sender(NAME), "a@b\nBcc: c@d"),
    ],
)
def test_refusals(read: Callable[[], object], text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, text)
    with pytest.raises(ConfigurationError, match=NAME):
        read()


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("smtp://u%40x:p%2Fw@mail.example", EmailServer("mail.example", 587, "u@x", "p/w", "starttls")),
        ("smtps://u:p@mail.example", EmailServer("mail.example", 465, "u", "p", "tls")),
        ("smtp://127.0.0.1:25?tls=off", EmailServer("127.0.0.1", 25, "", "", "none")),
        ("", None),
    ],
)
def test_email_server(text: str, server: EmailServer | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, text)
    assert env.email_server(NAME) == server


@pytest.mark.parametrize("text", ["a@exchange.example", "Nebannpet <no-reply@exchange.example>"])
def test_sender(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, text)
    assert env.sender(NAME) == text


def test_refused_mail_server_does_not_show_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("smtp://user:hunter2@mail.example/path", "smtp://user:hunter2@mail.example:hunter2"):
        monkeypatch.setenv(NAME, text)
        with pytest.raises(ConfigurationError) as caught:
            env.email_server(NAME)
        assert "hunter2" not in str(caught.value)


def test_url_with_a_password_is_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "mysql://user:hunter2@host/db")
    with pytest.raises(ConfigurationError) as caught:
        env.url(NAME, ("postgresql",))
    assert "hunter2" not in str(caught.value)
