"""Checkpoints as C2SP writes them: tlog-checkpoint inside a signed note, Ed25519 (c2sp.org/signed-note).

    <origin>
    <number of entries>
    <root, base64>
    <empty line>
    — <origin> <base64 of key id (4 bytes) and signature (64 bytes)>

The signature is over the three lines with their line feeds. The key's name is the origin; its id is the first four
bytes of SHA-256(name || 0x0A || 0x01 || public key). A verifier key is `name+key id in hex+base64(0x01 || key)`.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from apps.audit.errors import NotACheckpoint

ED25519: Final = b"\x01"
_NAME: Final = re.compile(r"[!-*,-~]+", re.ASCII)  # printable, neither space nor plus
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_ROOT_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The tree of the first `size` entries of the log `origin` has this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """What whoever checks a checkpoint has to know."""

    name: str
    key: bytes

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + ED25519 + self.key).digest()[:4]

    @property
    def text(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(ED25519 + self.key).decode()}"


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def verifier_key(name: str, key: Ed25519PrivateKey) -> VerifierKey:
    return VerifierKey(name, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))


def read_verifier_key(text: str) -> VerifierKey:
    """NotACheckpoint where the text is no Ed25519 verifier key, or its id is not the key's."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    try:
        raw = b64decode(encoded, validate=True)
    except Base64Error as error:
        raise NotACheckpoint("The verifier key is not base64.") from error
    found = VerifierKey(name, raw[1:])
    if not is_name(name) or len(raw) != 33 or raw[:1] != ED25519 or found.id.hex() != key_id:
        raise NotACheckpoint("This is no Ed25519 verifier key: name+key id+base64.")
    return found


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """The whole note."""
    signer = verifier_key(checkpoint.origin, key)
    signature = b64encode(signer.id + key.sign(checkpoint.text.encode())).decode()
    return f"{checkpoint.text}\n— {signer.name} {signature}\n"


def read(note: str) -> Checkpoint:
    """What a note says, whoever signed it. NotACheckpoint where it is none."""
    text, separator, signatures = note.rpartition("\n\n")
    lines = text.split("\n")
    if not separator or len(lines) < 3 or not signatures.startswith("— ") or not signatures.endswith("\n"):
        raise NotACheckpoint("A checkpoint has an origin, a size, a root, an empty line and signatures.")
    origin, size, root = lines[:3]
    try:
        decoded = b64decode(root, validate=True)
    except Base64Error as error:
        raise NotACheckpoint("The root of the checkpoint is not base64.") from error
    if not origin or _SIZE.fullmatch(size) is None or len(decoded) != _ROOT_BYTES:
        raise NotACheckpoint("Size or root of the checkpoint are malformed.")
    return Checkpoint(origin, int(size), decoded)


def verify(note: str, key: VerifierKey) -> Checkpoint:
    """What the note says, if the key signed it; else NotACheckpoint. Signatures of other keys are passed over."""
    found = read(note)
    text, _, signatures = note.rpartition("\n\n")
    for line in signatures.splitlines():
        prefix = f"— {key.name} "
        if not line.startswith(prefix):
            continue
        try:
            raw = b64decode(line.removeprefix(prefix), validate=True)
        except Base64Error:
            continue
        if len(raw) == len(key.id) + _SIGNATURE_BYTES and raw.startswith(key.id):
            try:
                Ed25519PublicKey.from_public_bytes(key.key).verify(raw[len(key.id) :], (text + "\n").encode())
            except InvalidSignature as error:
                raise NotACheckpoint("The signature of the checkpoint is wrong.") from error
            return found
    raise NotACheckpoint(f"The checkpoint is not signed by {key.text}.")
