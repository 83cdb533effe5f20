"""Why there is no backup, or nothing was restored. Each message says what was found and what to do."""


class BackupFailed(Exception):
    """No backup was made; whatever was written for it is gone again."""


class NotABackup(Exception):
    """The directory is not a whole backup: interrupted, damaged, or something else. Nothing was changed."""


class RestoreRefused(Exception):
    """The restore does not fit this installation or this release. Nothing was changed."""


class RestoreFailed(Exception):
    """The restore broke off; it can be run again with the same directory and goes on where it was."""
