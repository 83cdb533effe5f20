"""What a backup says about secrets, and which ones it carries.

API secrets stand encrypted in PostgreSQL under CREDENTIALS_KEY. In production that key comes from the environment and
is never in a backup: who steals one of the two has nothing. Keep it in another place; without it a restored exchange
has all money and orders, but every API key must be made anew. In development the key is a file that `make run` made in
the data directory; that file, the key of the audit log's checkpoints (apps/audit/keys.py), which is handled alike, and
the demo logins are in the backup, so that a restored demonstration works at once.

A fingerprint of the key tells at a restore whether the key in the environment is the right one. It is a one-way hash of
32 random bytes, from which nothing can be guessed.
"""

import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

from nebannpet.backup.errors import RestoreRefused
from nebannpet.backup.files import NewSet
from nebannpet.paths import Paths

KEY_FILE: Final = "secrets/credentials.key"
AUDIT_KEY_FILE: Final = "secrets/audit-checkpoint.key"
LOGINS_FILE: Final = "secrets/demo-logins.json"
_PERSON: Final = b"nebannpet key id"


def fingerprint(key: str) -> str:
    """16 hexadecimal digits; '' for no key."""
    return blake2b(key.encode("ascii"), digest_size=8, person=_PERSON).hexdigest() if key else ""


def own_fingerprint(paths: Paths, key_in_environment: str) -> str:
    return fingerprint(key_in_environment or _read(key_path(paths)))


def key_path(paths: Paths) -> Path:
    return paths.data_dir / "credentials.key"


def audit_key_path(paths: Paths) -> Path:
    """Where `make run` makes the key of the audit log's checkpoints (AUDIT_KEY_FILE of the development settings)."""
    return paths.data_dir / "audit-checkpoint.key"


def copy_secrets(paths: Paths, key_in_environment: str, into: NewSet) -> None:
    """The development keys and the demo logins, where there are any."""
    for source, name in _files(paths):
        if source.exists() and not (name in (KEY_FILE, AUDIT_KEY_FILE) and key_in_environment):
            into.copy(source, name)


def check_key(paths: Paths, key_in_environment: str, set_: Path, wanted: str) -> None:
    """RestoreRefused where the API secrets of the backup would not open here."""
    if not wanted or fingerprint(key_in_environment) == wanted:
        return
    carried, present = set_ / KEY_FILE, _read(key_path(paths))
    if not key_in_environment and fingerprint(present or _read(carried)) == wanted:
        return
    what = "is not the one" if key_in_environment or present else "is not set, and the backup does not carry the one"
    raise RestoreRefused(
        f"CREDENTIALS_KEY {what} that the API secrets in this backup were encrypted with. Set the right one; or, if it"
        " is lost, restore with --without-credentials: money and orders are all there, but every API key must be made"
        " anew."
    )


def restore_secrets(paths: Paths, set_: Path) -> None:
    """Files that are already here stay as they are."""
    for target, name in _files(paths):
        source = set_ / name
        if source.exists() and not target.exists():
            fresh = target.with_suffix(".restoring")
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(source.read_bytes())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(target)


def _files(paths: Paths) -> tuple[tuple[Path, str], ...]:
    """(where it is here, its name in the set)"""
    return (
        (key_path(paths), KEY_FILE),
        (audit_key_path(paths), AUDIT_KEY_FILE),
        (paths.demo_logins, LOGINS_FILE),
    )


def _read(path: Path) -> str:
    return path.read_text("ascii").strip() if path.exists() else ""
