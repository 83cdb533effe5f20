"""Ed25519 and RSA keys: what is accepted, and that nothing about a key changes later."""

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.db import IntegrityError, connection, transaction

from apps.accounts.errors import InvalidApiKeyRequest, InvalidPublicKey, TooManyApiKeys
from apps.accounts.keyterms import KeyTerms
from apps.accounts.models import ApiKey, User
from apps.accounts.policy import API_KEYS_PER_ACCOUNT_MAX
from apps.accounts.publickeys import read_public_key
from apps.accounts.selectors import main_account_id
from apps.accounts.services.keyissue import issue_hmac_key, issue_public_key

# RFC 8410 section 10.1.
RFC_PEM = (
    "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PUBLIC KEY-----\n"
)


def pem_of(private: object) -> str:
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()  # type: ignore[attr-defined]


@pytest.fixture
def account_id(alice: User) -> int:
    found = main_account_id(user_id=alice.pk)
    assert found is not None
    return found


def register(account_id: int, pem: str = RFC_PEM, label: str = "bot") -> ApiKey:
    return issue_public_key(account_id=account_id, pem=pem, terms=KeyTerms(label=label, can_read=True, can_trade=False))


def test_accepted_keys(account_id: int) -> None:
    for pem, kind in (
        (RFC_PEM, "ed25519"), (f"\n  {RFC_PEM}\n", "ed25519"), (pem_of(rsa.generate_private_key(65537, 2048)), "rsa"),
    ):  # fmt: skip
        stored = ApiKey.objects.get(pk=register(account_id, pem).pk)
        assert (stored.kind, bytes(stored.secret_box), len(stored.public_key)) == (kind, b"", 64)
        assert read_public_key(pem) == (kind, bytes(stored.verify_key))


def test_refused_keys(account_id: int) -> None:
    mine = ed25519.Ed25519PrivateKey.generate()
    private = mine.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(InvalidPublicKey, match="private key"):
        register(account_id, private)
    with pytest.raises(InvalidPublicKey, match="2048 to 4096"):
        register(account_id, pem_of(rsa.generate_private_key(65537, 1024)))
    for other in (
        ec.generate_private_key(ec.SECP256R1()),
        x25519.X25519PrivateKey.generate(),
        dsa.generate_private_key(1024),
    ):
        with pytest.raises(InvalidPublicKey, match="Only Ed25519 and RSA"):
            register(account_id, pem_of(other))
    for text in ("", "no key", RFC_PEM.replace("MCow", "MCox"), RFC_PEM + "\u0661", "A" * 3000, RFC_PEM[:60]):
        with pytest.raises(InvalidPublicKey, match="not a public key"):
            register(account_id, text)
    assert not ApiKey.objects.exists()


def test_the_rules_of_all_keys_hold(account_id: int) -> None:
    with pytest.raises(InvalidApiKeyRequest, match="label"):
        register(account_id, label=" ")
    for number in range(API_KEYS_PER_ACCOUNT_MAX):
        register(account_id, label=str(number))
    with pytest.raises(TooManyApiKeys):
        register(account_id)


@pytest.mark.parametrize(
    "change", ["kind = 'hmac'", "verify_key = 'x'", "kind = 'rsa'", "secret_box = 'x'", "verify_key = ''"]
)
def test_what_verifies_never_changes(account_id: int, change: str) -> None:
    """A follower keeps the key in memory, and must not miss anything."""
    register(account_id)
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE accounts_apikey SET {change}")


def test_a_key_has_one_proof(account_id: int) -> None:
    made = issue_hmac_key(account_id=account_id, terms=KeyTerms(label="x", can_read=True, can_trade=True)).key
    for fields in ({"secret_box": b""}, {"kind": "rsa"}, {"verify_key": b"x"}, {"kind": "dsa", "verify_key": b"x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            ApiKey.objects.create(
                account_id=account_id, label="x", public_key="A" * 64,
                **{"kind": made.kind, "secret_box": made.secret_box, "verify_key": b"", **fields},
            )  # fmt: skip
