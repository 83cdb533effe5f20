from apps.common.errors import DomainError


class KeyReused(DomainError):
    """The business key already stands for another command."""

    code = "outbox_key_reused"


class InvalidKey(DomainError):
    """A business key is 1 to 64 printable ASCII characters."""

    code = "outbox_invalid_key"


class InvalidCommand(DomainError):
    """The command cannot travel through the outbox, or its body would be refused by every engine."""

    code = "outbox_invalid_command"


class ReasonMissing(DomainError):
    """Whatever staff asks for needs a reason."""

    code = "reason_missing"
