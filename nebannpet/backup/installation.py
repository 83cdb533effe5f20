"""Where everything of one shard is in this installation."""

from dataclasses import dataclass
from pathlib import Path

from apps.matching import snapshots
from nebannpet.paths import Paths


@dataclass(frozen=True, slots=True)
class Installation:
    """`credentials_key` is the setting, empty where the key is the file of `make run` (secrets.py)."""

    paths: Paths
    shard: str
    dsn: str
    core_url: str
    credentials_key: str

    @property
    def snapshots_dir(self) -> Path:
        return snapshots.shard_dir(self.paths.data_dir, self.shard)

    @property
    def archive_dir(self) -> Path:
        return self.paths.data_dir / "archive" / self.shard
