from apps.common.errors import DomainError


class InvalidEntry(DomainError):
    """What was to be recorded cannot stand in the log: unknown action, a float, a secret, too long."""

    code = "audit_invalid_entry"


class NoSuchProof(DomainError):
    """The parameters name no entry or no tree of this log."""

    code = "audit_no_such_proof"


class KeyUnusable(DomainError):
    """The file of the checkpoint key or of the last checkpoint cannot be read or written, or holds something else."""

    code = "audit_key_unusable"


class NotACheckpoint(DomainError):
    """The text is no signed checkpoint, or not one of this log and key."""

    code = "audit_not_a_checkpoint"


class KeyNotGiven(DomainError):
    """A checkpoint is signed by a key that whoever verifies has not named as trusted."""

    code = "audit_key_not_given"


class LogDamaged(DomainError):
    """The stored log is not what its newest checkpoint signed. Nothing is sequenced until that is explained."""

    code = "audit_log_damaged"
