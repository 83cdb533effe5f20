"""The key from which all others at rest are derived (apps/common/boxes.py): the setting CREDENTIALS_KEY.

32 random bytes as hexadecimal digits. Production requires it; in development, when it is empty, a random one is made
once in `DATA_DIR/credentials.key`.
"""

import os
import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_BYTES: Final = 32


def master_key() -> bytes:
    text: str = settings.CREDENTIALS_KEY or _development_key(settings.DATA_DIR / "credentials.key")
    if len(text) != 2 * _BYTES or not set(text) <= set("0123456789abcdef"):
        raise ImproperlyConfigured(f"CREDENTIALS_KEY must be {2 * _BYTES} lower-case hexadecimal digits.")
    return bytes.fromhex(text)


@lru_cache(maxsize=4)
def _development_key(path: Path) -> str:
    """The key in `path`, made there if it is missing. Two processes that start together end up with one key."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name) as file:  # readable by its owner only
            file.write(os.urandom(_BYTES).hex().encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
            # link() is atomic and never replaces: the second process keeps the first one's key.
            with suppress(FileExistsError):
                os.link(file.name, path)
    return path.read_text("ascii").strip()
