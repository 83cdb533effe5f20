"""Checkpoints: the note of C2SP's own page opens, ours open again, and nothing changed does."""

from base64 import b64decode
from dataclasses import replace

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from apps.audit.errors import NotACheckpoint
from apps.audit.notes import Checkpoint, VerifierKey, is_name, read, read_verifier_key, sign, verifier_key, verify
from tests.audit.log import KEY, ORIGIN

CHECKPOINT = Checkpoint(ORIGIN, 17, bytes(range(32)))


def test_a_checkpoint_has_the_lines_of_the_standard() -> None:
    note = sign(CHECKPOINT, KEY)
    lines = note.split("\n")
    assert lines[:4] == [ORIGIN, "17", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]
    key = verifier_key(ORIGIN, KEY)
    assert verify(note, key) == read(note) == CHECKPOINT
    assert verify(note, read_verifier_key(key.text)) == CHECKPOINT


def test_a_note_of_the_go_checksum_database_opens() -> None:
    """PeterNeumann and his key are the example of golang.org/x/mod/sumdb/note; its text is no checkpoint."""
    key = read_verifier_key("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    assert key.id.hex() == "c74f20a3"
    note = (
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    with pytest.raises(NotACheckpoint, match="a size"):
        verify(note, key)
    text, _, signature = note.rpartition("\n\n")
    assert _opens(text, signature, key)
    assert not _opens(text.replace("think", "hope"), signature, key)


def _opens(text: str, signature: str, key: VerifierKey) -> bool:
    raw = b64decode(signature.split(" ")[2])
    assert raw[:4] == key.id
    try:
        Ed25519PublicKey.from_public_bytes(key.key).verify(raw[4:], (text + "\n").encode())
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize(
    "change",
    [
        lambda note: note.replace("\n17\n", "\n18\n"),
        lambda note: note.replace("\nAAEC", "\nABEC"),
        lambda note: note.replace(ORIGIN, "other.example/audit"),
        lambda note: note.replace("— ", "- "),
        lambda note: note.removesuffix("\n"),
        lambda note: note.replace("\n17\n", "\n017\n"),
        lambda note: note.replace("\n17\n", "\n-17\n"),
        lambda note: note.replace("\n\n", "\n"),
        lambda note: note[:-6] + "AAAA=\n",
        lambda note: "",
    ],
)
def test_nothing_changed_is_accepted(change: object) -> None:
    note = change(sign(CHECKPOINT, KEY))  # type: ignore[operator]
    with pytest.raises(NotACheckpoint):
        verify(note, verifier_key(ORIGIN, KEY))


def test_another_key_is_not_ours() -> None:
    other = Ed25519PrivateKey.generate()
    with pytest.raises(NotACheckpoint, match="not signed by"):
        verify(sign(CHECKPOINT, other), verifier_key(ORIGIN, KEY))
    cosigned = sign(CHECKPOINT, other) + sign(CHECKPOINT, KEY).splitlines()[-1] + "\n"
    assert verify(cosigned, verifier_key(ORIGIN, KEY)) == CHECKPOINT


@pytest.mark.parametrize("text", ["", "a+b", "a+00000000+AAAA", "a b+00000000+AAAA", "a+zz+!!"])
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(NotACheckpoint):
        read_verifier_key(text)
    key = verifier_key(ORIGIN, KEY)
    with pytest.raises(NotACheckpoint):
        read_verifier_key(replace(key, name="other").text.replace("other", "third"))


@pytest.mark.parametrize(
    ("name", "good"), [("a.example:8000/audit", True), ("a b", False), ("a+b", False), ("", False)]
)
def test_names_have_neither_space_nor_plus(name: str, good: bool) -> None:
    assert is_name(name) is good
