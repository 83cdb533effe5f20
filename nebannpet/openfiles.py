"""How many files a process may have open: each connection is one, and the usual soft limit of 1,024 is soon reached."""

import resource
from typing import Final

# More than any process here uses. Some hosts have hard limits of a thousand million, and programs that walk through
# all numbers of files below the limit.
ENOUGH: Final = 65_536


def raise_limit() -> int:
    """Raise the soft limit of this process, and so of children it starts later, as far as the hard one lets it.

    Returns what holds now. A limit that is higher already stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return ENOUGH
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        # Some systems have a lower one beside it that is not shown here (macOS: kern.maxfilesperproc).
        return soft
    return wanted
