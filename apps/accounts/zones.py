"""The zone in which a user's pages show times; files and programs always have UTC."""

from datetime import date, datetime, time
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from apps.accounts.errors import UnknownZone

UTC_ZONE: Final = "UTC"
_NO_PLACES: Final = ("Etc/", "SystemV/", "US/", "posix/", "right/")


@cache
def zone_names() -> tuple[str, ...]:
    """Names of places, such as Europe/Lisbon, in order, and UTC before them. Without old names of single countries."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith(_NO_PLACES))
    return (UTC_ZONE, *sorted(places))


def zone(name: str) -> ZoneInfo:
    """Raises UnknownZone for what is no name of zone_names()."""
    if name not in zone_names():
        raise UnknownZone("There is no such time zone.")
    return ZoneInfo(name)


def midnight_ms(day: date, where: ZoneInfo) -> int:
    """When a day begins there, in milliseconds since the epoch."""
    return int(datetime.combine(day, time.min, tzinfo=where).timestamp()) * 1_000
