"""The demonstration's logins, two of staff as approvals take two: kept from the first `make run`, shown at each."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg

# Arguments of manage.py demo_account.
ACCOUNTS = (
    ("trader", "--fund", "USDT=100000", "USDC=20000", "BTC=2", "ETH=30", "BNB=50", "LTC=100"),
    ("staff", "--staff"),
    ("second-staff", "--staff"),
)


@dataclass(frozen=True, slots=True)
class DemoLogin:
    email: str
    password: str
    totp_secret: str
    api_key: str
    api_secret: str
    account_id: int


def parse_login(lines: list[str]) -> DemoLogin:
    """The one line of JSON among what demo_account printed; ValueError without it."""
    for line in lines:
        if line.startswith("{"):
            found = json.loads(line)
            return DemoLogin(**{name: found[name] for name in DemoLogin.__slots__})
    raise ValueError("demo_account printed no login")


def load_logins(path: Path, dsn: str) -> list[DemoLogin]:
    """Those made before, or nothing when there are none, the database does not know them (it may be a new one), or an
    older release made them."""
    try:
        kept = json.loads(path.read_text())
    except FileNotFoundError:
        return []
    if any(entry.keys() != set(DemoLogin.__slots__) for entry in kept):
        return []  # by an older release, whose demo accounts lack something
    logins = [DemoLogin(**entry) for entry in kept]
    with psycopg.connect(dsn, connect_timeout=5) as connection:
        known = connection.execute(
            "SELECT count(*) FROM accounts_user WHERE email = ANY(%s)", [[login.email for login in logins]]
        ).fetchone()
    return logins if known == (len(logins),) else []


def save_logins(path: Path, logins: list[DemoLogin]) -> None:
    """Readable by the owner only; replaced as a whole."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump([asdict(login) for login in logins], file, indent=1)
    fresh.replace(path)
