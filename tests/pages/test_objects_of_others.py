"""What somebody else sees and changes with the numbers of alice's objects, in queries and in bodies (threat-T13).

test_access.py looks at the status of each address; here are the contents of a 200, and what a form does.
"""

from typing import Any

import pytest
from django.db.models import Model

from apps.accounts.models import AllocationRule, ApiKey, Device, OpenSession, TradingAccount, User
from apps.ledger.models import Balance
from apps.notifications.models import Notice
from apps.wallets.models import InternalTransfer
from tests.pages.places import PRIVATE, SITE
from tests.pages.world import World

# Texts that stand in alice's objects and nowhere else.
MARKS = {
    "label of a key": "mark-of-the-key", "label of an account": "mark-of-the-account", "phrase": "mark-of-the-phrase",
    "browser": "mark-of-the-browser", "notice": "mark-of-the-notice",
}  # fmt: skip
# Under which a query or a body may name an object, and which of alice's it then is.
NAMES = {
    **dict.fromkeys(("account", "account_id", "from_account", "to_account", "sub", "sub_account", "accounts"), "sub"),
    **dict.fromkeys(("owner", "owner_id", "user", "user_id", "member"), "alice"),
    **dict.fromkeys(("key", "key_id", "api_key"), "key"),
    **dict.fromkeys(("rule", "rule_id"), "rule"),
    **dict.fromkeys(("id", "pk", "device", "device_id"), "device"),
    **dict.fromkeys(("session", "session_id"), "session"),
    **dict.fromkeys(("notice", "notice_id", "newest"), "notice"),
}
# Whoever has the link, or a laptop's own mailbox, is meant to see what is behind it.
OPEN_TO_ALL = ("token", "dev/mail")
# Anonymous is led to the log-in where anything belongs to anybody (test_access.py).
OTHERS = ("other", "staff")


@pytest.fixture
def marked(world: World) -> World:
    ApiKey.objects.filter(account__owner=world.names["alice"]).update(label=MARKS["label of a key"])
    TradingAccount.objects.filter(owner=world.names["alice"], is_main=False).update(label=MARKS["label of an account"])
    User.objects.filter(pk=world.names["alice"]).update(mail_phrase=MARKS["phrase"])
    for model in (Device, OpenSession):
        model.objects.update(browser=MARKS["browser"])
    Notice.objects.update(title=MARKS["notice"])
    return world


def numbers(world: World, prefix: str = "") -> dict[str, str]:
    return {f"{prefix}{name}": str(world.names[what]) for name, what in NAMES.items()}


def addresses(world: World) -> list[tuple[str, str]]:
    """Route and address of each place that is not open to whoever has its link; others' own ones among them."""
    places = [place for place in SITE if not any(each in place.route for each in OPEN_TO_ALL)]
    return [(place.route, world.address(place.address or place.route)) for place in places]


def kept(world: World) -> list[Any]:
    """All that is alice's."""
    alice = world.names["alice"]
    owned: list[tuple[type[Model], dict[str, Any]]] = [
        (User, {"pk": alice}), (TradingAccount, {"owner": alice}), (ApiKey, {"account__owner": alice}),
        (AllocationRule, {"account_id": world.names["account"]}), (Balance, {"account_id": world.names["account"]}),
        (Device, {"user": alice}), (OpenSession, {"user": alice}), (Notice, {"user": alice}),
    ]  # fmt: skip
    rows = [list(model._default_manager.filter(**whose).order_by("pk").values()) for model, whose in owned]
    transfers = InternalTransfer.objects.filter(owner=alice).count()
    return [*rows, transfers]


@pytest.mark.parametrize("role", OTHERS)
def test_numbers_of_others_in_queries_and_bodies(marked: World, undone: Any, role: str) -> None:
    before = kept(marked)
    wrong = []
    for route, address in addresses(marked):
        for method in ("GET", "POST"):
            with undone():
                client = marked.client(role)
                form = numbers(marked)
                answer = client.get(address, form) if method == "GET" else client.post(address, form)
                text = b"".join(answer) if answer.streaming else answer.content
                wrong += [f"{method} {route}: {what}" for what, mark in MARKS.items() if mark.encode() in text]
                if kept(marked) != before:
                    wrong.append(f"{method} {route}: something of alice's has changed")
    assert not wrong, "\n".join(wrong)


def test_forms_that_succeed_change_nothing_of_others(marked: World, undone: Any) -> None:
    """With the fields that the form takes, so that it is not refused before it would look."""
    before = kept(marked)
    wrong, succeeded = [], 0
    for place in SITE:
        if not place.form or place.anonymous != PRIVATE or "<" in place.route:
            continue
        with undone():
            answer = marked.send("other", "POST", "/" + place.route, numbers(marked) | dict(place.form))
            succeeded += answer.status_code in (200, 302)
            if kept(marked) != before or any(mark in answer.content.decode() for mark in MARKS.values()):
                wrong.append(place.route)
    assert not wrong
    assert succeeded > 5


def test_a_transfer_with_an_account_of_somebody_else(marked: World, undone: Any) -> None:
    """In each place of the form, with one of the sender's own in the other."""
    bobs = str(TradingAccount.objects.get(owner=marked.people["other"]).pk)
    for pair in ((str(marked.names["account"]), bobs), (bobs, str(marked.names["sub"]))):
        form = dict(zip(("from_account", "to_account"), pair, strict=True))
        with undone():
            answer = marked.send(
                "other", "POST", "/account/balances", {**form, "asset": "1", "amount": "1", "client_id": "x1"}
            )
            assert not InternalTransfer.objects.exists()
            assert not any(mark in answer.content.decode() for mark in MARKS.values())


def test_the_search_would_find_them(marked: World) -> None:
    """Each mark is on a page of the owner."""
    pages = ("api-keys", "sub-accounts", "mail-phrase", "devices", "notices")
    client = marked.client("owner")
    seen = "".join(client.get(f"/account/{page}").content.decode() for page in pages)
    assert [what for what, mark in MARKS.items() if mark not in seen] == []
