"""API secrets at rest: what is stored is useless without the key, and only opens in its own row."""

import os
import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from apps.accounts.errors import SecretUnreadable
from apps.accounts.secrets import decrypt_secret, encrypt_secret
from apps.common.boxes import BOX_OVERHEAD

KEY = "A" * 64
SECRET = b"s3cret" * 10


@pytest.fixture(autouse=True)
def credentials_key(settings: Settings) -> None:
    settings.CREDENTIALS_KEY = "0123456789abcdef" * 4


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_round_trip(kind: type) -> None:
    assert decrypt_secret(KEY, kind(encrypt_secret(KEY, SECRET))) == SECRET


def test_each_box_differs_and_none_holds_the_secret() -> None:
    boxes = {encrypt_secret(KEY, SECRET) for _ in range(100)}
    assert len(boxes) == 100
    assert all(len(box) == len(SECRET) + BOX_OVERHEAD for box in boxes)
    assert not any(SECRET[i : i + 6] in box for box in boxes for i in range(len(SECRET) - 5))


def test_box_of_another_row_does_not_open() -> None:
    with pytest.raises(SecretUnreadable):
        decrypt_secret("B" * 64, encrypt_secret(KEY, SECRET))


def test_another_credentials_key_does_not_open_it(settings: Settings) -> None:
    box = encrypt_secret(KEY, SECRET)
    settings.CREDENTIALS_KEY = "fedcba9876543210" * 4
    with pytest.raises(SecretUnreadable, match="CREDENTIALS_KEY"):
        decrypt_secret(KEY, box)


def test_every_flipped_bit_is_noticed() -> None:
    box = encrypt_secret(KEY, b"x" * 4)
    for position in range(len(box) * 8):
        altered = bytearray(box)
        altered[position // 8] ^= 1 << position % 8
        with pytest.raises(SecretUnreadable):
            decrypt_secret(KEY, altered)


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x02" + b"0" * 60, b"\x01" * (BOX_OVERHEAD - 1)])
def test_garbage_is_refused(blob: bytes) -> None:
    with pytest.raises(SecretUnreadable):
        decrypt_secret(KEY, blob)


@pytest.mark.parametrize("value", ["abc", "0" * 63, "0" * 65, "G" * 64, "A" * 64, " " * 64])
def test_malformed_credentials_key_stops_with_its_name(settings: Settings, value: str) -> None:
    settings.CREDENTIALS_KEY = value
    with pytest.raises(ImproperlyConfigured, match="CREDENTIALS_KEY"):
        encrypt_secret(KEY, SECRET)


def test_development_key_is_made_once_and_private(settings: Settings, tmp_path: Path) -> None:
    settings.CREDENTIALS_KEY = ""
    settings.DATA_DIR = tmp_path / "fresh"
    box = encrypt_secret(KEY, SECRET)
    file = tmp_path / "fresh" / "credentials.key"
    text = file.read_text()
    assert len(bytes.fromhex(text)) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["credentials.key"]
    settings.CREDENTIALS_KEY = text  # what another process would read from the file
    assert decrypt_secret(KEY, box) == SECRET
