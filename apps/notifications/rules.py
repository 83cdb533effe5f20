"""Which ways a message takes to its reader: pure (requirement P4)."""

from dataclasses import dataclass
from typing import Final

from apps.notifications.models.topics import Topic


@dataclass(frozen=True, slots=True)
class Ways:
    """Where a message of a topic goes."""

    in_app: bool
    email: bool


EVERY_WAY: Final = Ways(in_app=True, email=True)
# Who could turn these off, such as whoever is logged in to a stolen account, would keep its owner from hearing of it.
MANDATORY: Final = frozenset({Topic.SECURITY, Topic.INCIDENT})
OPTIONAL: Final = tuple(topic for topic in Topic if topic not in MANDATORY)


def ways_of(topic: Topic, chosen: Ways | None) -> Ways:
    """`chosen` is the user's choice for the topic, None where none was made: then both ways are taken."""
    return EVERY_WAY if topic in MANDATORY or chosen is None else chosen
