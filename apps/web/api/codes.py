"""Status and title of each error code. Nothing here needs Django REST framework.

The table names the codes of all apps, none of which is known here: the setting PLATFORM_API_PROBLEMS says where it is.
"""

from collections.abc import Mapping
from typing import NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string


class Kind(NamedTuple):
    status: int
    title: str


def kind_of(code: str) -> Kind:
    """Raises KeyError for a code that the table lacks: a fault of ours."""
    problems: Mapping[str, Kind] = import_string(settings.PLATFORM_API_PROBLEMS)
    return problems[code]
