"""Fifty texts that try to become code, in every text that a user can write: each stays that text (threat-T15).

A page with such a text must have the same elements, with attributes of the same names, as with a plain word in its
place, and must say it as it was written. `make test` tries every fifth text on a page, of the next page the ones after
those, so that it has all fifty; `make long` tries all of them on each page.
"""

from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import ApiKey, Device, LogIn, OpenSession, TradingAccount, User
from apps.accounts.policy import BROWSER_LENGTH_MAX, MAIL_PHRASE_LENGTH_MAX
from apps.controls.kinds import Scope
from apps.controls.models import Switch
from apps.notifications.models import Banner, Notice, OutgoingEmail
from apps.notifications.policy import LINK_TEXT_LENGTH_MAX
from tests.pages.world import World
from tests.sampling import part, whole_or_part

HOSTILE = (
    "<script>alert(1)</script>", "<SCRIPT SRC=//evil.example/x.js></SCRIPT>", "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)>", "<iframe srcdoc='<script>alert(1)</script>'>", "<object data=data:text/html,x>",
    "<embed src=javascript:alert(1)>", "<a href=javascript:alert(1)>x</a>", "<a href='java&#9;script:alert(1)'>x</a>",
    "<form action=//evil.example><button>x", "<input autofocus onfocus=alert(1)>",
    "<select onfocus=alert(1) autofocus>",
    "<textarea onfocus=alert(1) autofocus>", "<details open ontoggle=alert(1)>", "<video src=x onerror=alert(1)>",
    "<audio src onerror=alert(1)>", "<math href=javascript:alert(1)>x</math>", "<marquee onstart=alert(1)>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>", "<link rel=stylesheet href=//evil.example>",
    "<style>*{display:none}</style>", "<base href=//evil.example>", "<template><script>alert(1)</script></template>",
    "</title><script>alert(1)</script>", "</textarea><script>alert(1)</script>", "</style><script>alert(1)</script>",
    "</script><script>alert(1)</script>", "</td></tr></table><h1>x</h1>", "--><script>alert(1)</script>",
    "<!--<img src=--><img src=x onerror=alert(1)>", "<![CDATA[<script>alert(1)</script>]]>", "<?xml version='1.0'?>",
    '" onmouseover="alert(1)', "' onmouseover='alert(1)", '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "` onclick=alert(1) `", "javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "{{ 7*7 }}",
    "{% debug %}", "{# x #}", "${alert(1)}", "#{7*7}", "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;alert(1)", "\\u003cscript\\u003ealert(1)",
)  # fmt: skip


class Structure(HTMLParser):
    """Elements with the names of their attributes; and all texts and values."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.texts += [value for _, value in attrs if value]

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}", ()))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.elements.append((f"<!--{data}", ()))


def test_there_are_fifty() -> None:
    assert len(set(HOSTILE)) == 50


def key_label(world: World, text: str) -> None:
    ApiKey.objects.filter(pk=world.names["key"]).update(label=text)


def account_label(world: World, text: str) -> None:
    TradingAccount.objects.filter(pk=world.names["sub"]).update(label=text)


def phrase(world: World, text: str) -> None:
    User.objects.filter(pk=world.names["alice"]).update(mail_phrase=text)


def email(world: World, text: str) -> None:
    """No form takes such an address; whatever else may come to be stored, a page shows it as a text."""
    User.objects.filter(pk=world.names["alice"]).update(email=text.lower())


def browser(world: World, text: str) -> None:
    """What a browser calls itself is shortened to a known name; whatever else may come to be stored is a text."""
    Device.objects.filter(pk=world.names["device"]).update(browser=text)
    OpenSession.objects.filter(pk=world.names["session"]).update(browser=text)


def log_in(world: World, text: str) -> None:
    LogIn.objects.all().delete()
    LogIn.objects.create(user_id=world.names["alice"], at=timezone.now(), succeeded=True, browser=text, address=text)


def notice(world: World, text: str) -> None:
    Notice.objects.filter(pk=world.names["notice"]).update(title=text, body=text)


def banner(world: World, text: str) -> None:
    short = text[:LINK_TEXT_LENGTH_MAX]
    Banner.objects.filter(pk=world.names["banner"]).update(text=text, link_text=short, reason=text, made_by=text)


def switch(world: World, text: str) -> None:
    Switch.objects.filter(scope=Scope.PLATFORM).update(reason=text, set_by=text)


def mail(world: World, text: str) -> None:
    OutgoingEmail.objects.filter(pk=world.names["mail"]).update(to=text, subject=text, last_error=text)


# What is stored, and the pages that show it: to its owner, and to staff.
STORED: list[tuple[Callable[[World, str], None], str, str]] = [
    (key_label, "owner", "account/api-keys"),
    (key_label, "root", "admin/accounts/apikey/"),
    (key_label, "root", "admin/accounts/apikey/{key}/change/"),
    (account_label, "owner", "account/sub-accounts"),
    (account_label, "owner", "account/sub-accounts/{sub}"),
    (account_label, "root", "admin/accounts/tradingaccount/"),
    (phrase, "owner", "account/"),
    (phrase, "owner", "account/mail-phrase"),
    (email, "owner", "account/"),
    (email, "root", "admin/accounts/user/"),
    (browser, "owner", "account/devices"),
    (log_in, "owner", "account/log-ins"),
    (notice, "owner", "account/notices"),
    (banner, "anonymous", ""),
    (banner, "root", "admin/notifications/banner/"),
    (switch, "root", "admin/controls/switch/"),
    (mail, "root", "admin/notifications/outgoingemail/"),
]
LONGEST = {phrase: MAIL_PHRASE_LENGTH_MAX, browser: BROWSER_LENGTH_MAX, log_in: BROWSER_LENGTH_MAX}
# What a form was sent with, and shows again when it is refused.
ECHOED = [
    ("anonymous", "account/log-in", "username"),
    ("anonymous", "account/log-in", "next"),
    ("anonymous", "account/sign-up", "email"),
    ("anonymous", "account/forgot-password", "email"),
    ("owner", "account/api-keys", "label"),
    ("owner", "account/api-keys", "networks"),
    ("owner", "account/mail-phrase", "phrase"),
    ("owner", "account/email", "email"),
]


def compare(
    show: Callable[[str], Any], texts: Sequence[str], *, left_out: bool = False, longest: int = 100
) -> list[str]:
    """What is wrong. `left_out`: the page may refuse to say it."""
    plain = Structure(show("harmless").content.decode())
    assert any("harmless" in text for text in plain.texts), "the page does not show the text at all"
    wrong = []
    for whole in texts:
        text = whole[:longest]
        shown = Structure(show(text).content.decode())
        if shown.elements != plain.elements:
            wrong.append(f"{text}: the page has other elements")
        if not left_out and not any(text.strip().lower() in each.lower() for each in shown.texts):
            wrong.append(f"{text}: is not said as it was written")
    return wrong


@pytest.mark.parametrize("whole", whole_or_part())
@pytest.mark.parametrize(("store", "role", "page"), STORED, ids=lambda part: getattr(part, "__name__", part))
def test_what_is_stored(world: World, store: Callable[[World, str], None], role: str, page: str, whole: bool) -> None:
    client = world.confirmed(role)

    def show(text: str) -> Any:
        store(world, text)
        return client.get(world.address(page))

    texts = part(HOSTILE, STORED.index((store, role, page)), whole)
    wrong = compare(show, texts, longest=LONGEST.get(store, 100))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("whole", whole_or_part())
@pytest.mark.parametrize(("role", "page", "field"), ECHOED)
def test_what_is_said_again(world: World, undone: Any, role: str, page: str, field: str, whole: bool) -> None:
    # Only a path is taken for a page to go on to.
    before = "/" if field == "next" else ""

    def show(text: str) -> Any:
        with undone():
            return world.send(role, "POST", world.address(page), {field: before + text})

    # An address to go on to that is not of this site is left out.
    texts = part(HOSTILE, ECHOED.index((role, page, field)), whole)
    wrong = compare(show, texts, left_out=field == "next", longest=MAIL_PHRASE_LENGTH_MAX if field == "phrase" else 100)
    assert not wrong, "\n".join(wrong)
