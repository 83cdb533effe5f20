"""An engine that fails at chosen orders, for the chaos rig only (fault-F22; crashpoints.allowed() guards its use).

An order whose client id begins with POISON raises inside process(), one that begins with CRASH ends the process by
SIGSEGV, as a fault in compiled code would. Both happen while that very command is being applied: it stands in the crash
marker, and the commands before it in the batch have changed the state. Cancels of such ids, every other command, skips,
snapshots and RULES_VERSION are those of the engine itself. The gateway lets both prefixes through, so the rig sends
them as any client would.
"""

import os
import signal
from struct import Struct, calcsize
from typing import Final, cast

from apps.matching.core import CoreClass
from apps.matching.engine.framing import run_offsets
from apps.streams.kinds import CommandKind
from apps.streams.records import COMMANDS

POISON: Final = b"poison-"
CRASH: Final = b"crash-"

_ORDER: Final = COMMANDS[CommandKind.PLACE_ORDER]
_CLIENT_ID_AT: Final = calcsize("<BB" + "".join(_ORDER.codes[: _ORDER.names.index("client_id")]))
_KIND_AT: Final = 1
_COMMAND_ID: Final = Struct("<QII")
_COMMAND_ID_AT: Final = 16


def faulty(engine_class: CoreClass) -> CoreClass:
    """The same engine, failing at those orders."""

    class Faulty(engine_class):  # type: ignore[misc,valid-type]
        _marked: memoryview | bytearray | None = None
        _failed: tuple[int, int, int] | None = None

        def process(self, frames: bytes) -> bytes:
            if POISON not in frames and CRASH not in frames:
                return super().process(frames)  # type: ignore[no-any-return]
            for offset in run_offsets(frames):
                if frames[offset + _KIND_AT] != CommandKind.PLACE_ORDER:
                    continue
                client_id = frames[offset + _CLIENT_ID_AT : offset + _CLIENT_ID_AT + len(POISON)]
                if client_id == POISON or client_id.startswith(CRASH):
                    super().process(frames[:offset])
                    self._fail(frames, offset, crash=client_id != POISON)
            return super().process(frames)  # type: ignore[no-any-return]

        def _fail(self, frames: bytes, offset: int, *, crash: bool) -> None:
            self._failed = _COMMAND_ID.unpack_from(frames, offset + _COMMAND_ID_AT)
            if self._marked is not None:
                _COMMAND_ID.pack_into(self._marked, 0, *self._failed)
            if crash:
                os.kill(os.getpid(), signal.SIGSEGV)
            raise RuntimeError("poison: the chaos rig asked for a failure at this order")

        def mark_in(self, buffer: memoryview | bytearray) -> None:
            super().mark_in(buffer)
            self._marked = buffer

        @property
        def applying(self) -> tuple[int, int, int]:
            return self._failed or super().applying

    return cast(CoreClass, Faulty)
