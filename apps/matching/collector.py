"""Python's garbage collector around an engine: what is discarded is freed, what trades is never looked at.

A discarded engine is full of cycles (account, seat, market) and, once it has traded or was followed, frozen.
"""

import gc

from apps.matching import policy


def free_discarded_engine() -> None:
    """Before another one is built. Without this every lost connection to redis-core, and every attempt of a standby to
    follow, would keep one whole engine for ever. From here on no full collection looks at what recovery builds (half a
    million orders load in 2.5 s instead of 7.8 s); the reasons stand in policy.GC_THRESHOLDS.
    """
    gc.unfreeze()
    gc.collect()
    gc.set_threshold(*policy.GC_THRESHOLDS)


def settle_garbage_collection() -> None:
    """What recovery built is never looked at again. Nothing is collected now: that would stop the lease's renewal."""
    gc.freeze()
