"""What a password may be, and that it is taken as it was typed (requirement A1, ASVS 6.2)."""

from datetime import timedelta
from html.parser import HTMLParser

import pytest
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db.models import F
from django.test import Client

from apps.accounts.models import User
from tests.accounts.mailbox import signed_up, submit
from tests.accounts.people import PASSWORD
from tests.architecture.sources import BASE_DIR
from tests.pages.world import World, make_world

LONGEST = "Ä " + "kestrel over the moor " * 5 + "sixteen letters "
FIELDS = {"password", "current", "new"}


@pytest.mark.parametrize("word", ["nebannpet1", "Nebannpet-Exchange", "bitcoin-exchange", "NEBANNPET.2026"])
def test_words_of_the_platform_are_no_password(word: str) -> None:
    with pytest.raises(ValidationError) as refused:
        validate_password(word)
    assert "do not count" in str(refused.value)
    validate_password(f"{word} and owls in the attic")


ALIKE = ("onlylowercaseletters", "ONLYCAPITALLETTERS", "äöüßéèñçåøþ", "!?*+-_.:;,<>", "   a few blanks  ")


@pytest.mark.parametrize("password", ALIKE)
def test_any_composition_but_digits_alone(password: str) -> None:
    validate_password(password)
    with pytest.raises(ValidationError, match="numeric"):
        validate_password("83619471835")


def test_a_password_is_what_was_typed(db: None) -> None:
    assert len(LONGEST) == 128
    signed_up("long@example.org", LONGEST)
    for other in (LONGEST.strip(), LONGEST[:72], LONGEST[:-1], LONGEST.lower()):
        answer = submit(Client(), "/account/log-in", username="long@example.org", password=other)
        assert answer.status_code == 422
    here = {"REMOTE_ADDR": "203.0.113.9"}
    assert submit(Client(**here), "/account/log-in", username="long@example.org", password=LONGEST).status_code == 302
    answer = submit(Client(), "/account/sign-up", email="longer@example.org", password=LONGEST + "x")
    assert answer.status_code == 422
    assert "128" in answer.content.decode()


def test_a_password_stays_good(alice: User) -> None:
    User.objects.update(created_at=F("created_at") - timedelta(days=3_650))
    assert submit(Client(), "/account/log-in", username=alice.email, password=PASSWORD).status_code == 302


class Inputs(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[dict[str, str | None]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "input" and dict(attrs).get("name") in FIELDS:
            self.found.append(dict(attrs))


def test_fields_hide_what_is_typed_and_take_what_is_pasted(db: None) -> None:
    world: World = make_world()
    pages = {
        "anonymous": ("account/sign-up", "account/log-in", "account/reset-password/{reset_token}"),
        "owner": ("account/password", "account/email", "account/mail-phrase", "account/confirm-it-is-you"),
    }
    for role, addresses in pages.items():
        for address in addresses:
            fields = Inputs(world.client(role).get(world.address(address)).content.decode()).found
            assert fields, address
            for each in fields:
                assert each["type"] == "password", address
                assert each["autocomplete"] in ("current-password", "new-password"), address
                assert not each.keys() & {"readonly", "onpaste"}, address
    scripts = "".join(path.read_text() for path in (BASE_DIR / "static").rglob("*.js"))
    assert "paste" not in scripts, "no script may look at what is pasted"
