"""How a user's pages show things. It concerns nobody's safety, and is not in the audit log."""

from apps.accounts.models import User
from apps.accounts.zones import zone


def choose_zone(*, user_id: int, name: str) -> None:
    """Of the times on pages, from now on. Raises UnknownZone."""
    User.objects.filter(pk=user_id).update(time_zone=zone(name).key)


def choose_value_asset(*, user_id: int, code: str) -> None:
    """Code of the asset in which pages say what balances are worth; the caller has looked that it is listed."""
    User.objects.filter(pk=user_id).update(value_asset=code)
