"""The checkpoint key: an Ed25519 key as PEM (PKCS 8), in a file that only its owner reads.

`openssl genpkey -algorithm ed25519 -out FILE` makes one. In development it is made at the first start; production
names the file in AUDIT_KEY_FILE and makes none. Only the sequencer reads it: other processes need no right to.
"""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from apps.audit.errors import KeyUnusable


def load_key(path: Path, *, make: bool) -> Ed25519PrivateKey:
    """The key in `path`; made there where it is missing and `make` says so. KeyUnusable otherwise."""
    if make and not path.exists():
        _make(path)
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"AUDIT_KEY_FILE: {path} cannot be read: {error.strerror}.") from error
    if mode & 0o077:
        raise KeyUnusable(f"AUDIT_KEY_FILE: others can read or write {path}; chmod 600 it.")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyUnusable(f"AUDIT_KEY_FILE: {path} holds no unencrypted private key in PEM.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyUnusable(f"AUDIT_KEY_FILE: the key in {path} is not an Ed25519 key.")
    return key


def _make(path: Path) -> None:
    """Two processes that start together end up with one key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name) as file:  # readable by its owner only
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
        # link() is atomic and never replaces: the second process keeps the first one's key.
        with suppress(FileExistsError):
            os.link(file.name, path)
