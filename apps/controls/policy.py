"""Limits of this app."""

from datetime import timedelta
from typing import Final

# The lock that all changes take and all decisions share; 0x73776974 spells 'swit'. Migration 0001 has it, too.
SWITCHES_LOCK: Final = 0x7377_6974
SUBJECT_LENGTH_MAX: Final = 32
# A follower asks twice a second; one that has had no answer for so long does not know what the switches say.
SILENT_MAX_S: Final = 5

# Requests that others of staff decide on: of a name, of what they are about, and how long they wait for it.
APPROVAL_KIND_LENGTH_MAX: Final = 40
APPROVAL_SUBJECT_LENGTH_MAX: Final = 100
APPROVAL_LASTS: Final = timedelta(days=7)
