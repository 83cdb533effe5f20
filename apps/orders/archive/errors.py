"""What can be wrong with an archive, or between it and the log it is made of."""


class ArchiveDamaged(Exception):
    """Bytes of the archive that are not what was written; the message names segment, block and what is wrong."""


class TornTail(ArchiveDamaged):
    """A file that ends within a block: of the last segment it is what a crash left, of any other it is damage."""


class ArchiveStopped(Exception):
    """Archive and log disagree. Nothing was written or cut; the process stays and says why until a person looked."""


class ReplayRefused(Exception):
    """This release cannot replay what was asked for; the message says which one can, or what is missing."""


class RestoreRefused(Exception):
    """Settling from the archive cannot go on; what was settled up to then stays, and the message says what to do."""
