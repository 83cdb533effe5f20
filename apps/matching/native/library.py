"""The compiled engine's C functions (include/nebannpet_engine.h), loaded once a process."""

import ctypes
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_int32, c_int64, c_size_t, c_uint8, c_uint32, c_uint64
from functools import cache
from pathlib import Path
from typing import Any, Final

from apps.matching.native.build import library

INTERFACE: Final = 2  # NBP_INTERFACE

OK, FRAME_ERROR, INVARIANT_BROKEN, RELAY_GAP, SNAPSHOT_ERROR, UNREADABLE_VERSION, OUT_OF_MEMORY = range(7)


class Failure(Structure):
    """nbp_error"""

    _fields_ = (
        ("status", c_int32),
        ("version_found", c_uint32),
        ("version_own", c_uint32),
        ("version_oldest", c_uint32),
        ("text", c_char * 200),
    )


class Market(Structure):
    """nbp_market"""

    _fields_ = (
        ("market_id", c_uint32), ("settings_version", c_uint32), ("skips", c_uint32),
        ("state", c_uint8), ("cause", c_uint8), ("padding", c_uint8 * 2),
        ("best_bid_ticks", c_int64), ("best_ask_ticks", c_int64), ("last_price_ticks", c_int64),
        ("last_trade_id", c_uint64), ("bid_levels", c_uint64), ("ask_levels", c_uint64),
        ("until_ms", c_uint64), ("reopens_ms", c_uint64), ("rule_id", c_uint32), ("more_padding", c_uint32),
        ("auction_ticks", c_int64), ("auction_lots", c_int64), ("halt_up_ticks", c_int64), ("halt_down_ticks", c_int64),
        ("symbol", c_char * 24),
    )  # fmt: skip


class Counted(Structure):
    """nbp_counters"""

    _fields_ = (
        ("seq", c_uint64), ("now_ms", c_uint64), ("last_order_id", c_uint64), ("accounts", c_uint64),
        ("open_orders", c_uint64), ("holds", c_uint64), ("remembered_client_ids", c_uint64), ("skips", c_uint64),
        ("cmd_n", c_uint32), ("cmd_index", c_uint32), ("memory_bytes", c_uint64),
    )  # fmt: skip


class Level(Structure):
    """nbp_level"""

    _fields_ = (("price_ticks", c_int64), ("lots", c_int64))


class WrongLibrary(Exception):
    """A library of another interface or of other rules than this code."""


def load(path: Path) -> Any:
    """The library at `path`, its functions typed. OSError where it cannot be loaded, WrongLibrary for another one."""
    lib = ctypes.CDLL(str(path))
    engine, out, size = ctypes.c_void_p, POINTER(ctypes.c_void_p), POINTER(c_size_t)
    prototypes: dict[str, tuple[Any, ...]] = {
        "nbp_interface": (c_uint32,),
        "nbp_rules_version": (c_uint32,),
        "nbp_create": (engine, c_uint32, c_uint64, c_uint64),
        "nbp_restore": (engine, c_char_p, c_size_t, c_uint64, POINTER(Failure)),
        "nbp_reserve": (c_int32, engine, c_size_t),
        "nbp_free": (None, engine),
        "nbp_process": (c_int32, engine, c_char_p, c_size_t, out, size),
        "nbp_skip": (c_int32, engine, c_char_p, c_size_t, c_uint32, out, size),
        "nbp_mark_in": (None, engine, ctypes.c_void_p),
        "nbp_snapshot": (c_int32, engine, out, size),
        "nbp_table": (c_int32, engine, c_uint32, out, size),
        "nbp_validate": (c_int32, engine),
        "nbp_seq": (c_uint64, engine),
        "nbp_error_text": (c_char_p, engine),
        "nbp_count": (None, engine, POINTER(Counted)),
        "nbp_market_count": (c_uint32, engine),
        "nbp_market_at": (None, engine, c_uint32, POINTER(Market)),
        "nbp_depth": (c_uint32, engine, c_uint32, c_uint32, c_uint32, POINTER(Level)),
    }
    for name, (result, *arguments) in prototypes.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    if lib.nbp_interface() != INTERFACE:
        raise WrongLibrary(f"{path.name} has interface {lib.nbp_interface()}, this code needs {INTERFACE}")
    return lib


@cache
def loaded() -> Any:
    """The library of these sources, built where it is missing. NoCompiler where nothing can build it."""
    return load(library())


__all__ = ["INTERFACE", "Counted", "Failure", "Level", "Market", "WrongLibrary", "byref", "load", "loaded"]
