"""The checkpoint key: made once, closed to others, and nothing else is taken for one."""

import os
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from apps.audit.errors import KeyUnusable
from apps.audit.keys import load_key


def test_it_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "new" / "audit.key"
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(load_key(path, make=True).private_bytes_raw())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 4
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path, make=False).private_bytes_raw() == found[0]
    assert os.listdir(path.parent) == ["audit.key"]


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "audit.key"
    with pytest.raises(KeyUnusable, match="cannot be read"):
        load_key(path, make=False)
    load_key(path, make=True)
    path.chmod(0o640)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        load_key(path, make=True)
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(KeyUnusable, match="no unencrypted private key"):
        load_key(path, make=True)
    rsa = generate_private_key(65537, 2048)
    path.write_bytes(rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(KeyUnusable, match="not an Ed25519 key"):
        load_key(path, make=True)
