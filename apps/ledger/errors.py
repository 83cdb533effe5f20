from apps.common.errors import DomainError


class InvalidAmount(DomainError):
    """An amount is a whole number of units, above zero and below 2^62."""

    code = "invalid_amount"


class InvalidAccount(DomainError):
    """Not the number of an account or asset."""

    code = "invalid_account"
