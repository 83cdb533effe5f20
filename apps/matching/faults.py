"""An engine that fails at chosen orders, for the chaos rig only (fault-F22; crashpoints.allowed() guards its use).

An order whose client id begins with POISON raises inside process(), one that begins with CRASH ends the process by
SIGSEGV, as a fault in compiled code would. Both happen while that very command is being applied: it stands in the crash
marker, and the commands before it in the batch have changed the state. Cancels of such ids, every other command, skips,
snapshots and RULES_VERSION are those of the engine itself. The gateway lets both prefixes through, so the rig sends
them as any client would.
"""

import os
import signal
from struct import calcsize
from typing import Final

from apps.matching.engine import Engine
from apps.matching.engine.relay import Handler
from apps.matching.engine.state import State
from apps.streams.kinds import CommandKind
from apps.streams.records import COMMANDS

POISON: Final = b"poison-"
CRASH: Final = b"crash-"

_ORDER: Final = COMMANDS[CommandKind.PLACE_ORDER]
_CLIENT_ID_AT: Final = calcsize("<BB" + "".join(_ORDER.codes[: _ORDER.names.index("client_id")]))


def faulty(engine_class: type[Engine]) -> type[Engine]:
    """The same engine, failing at those orders."""

    class Faulty(engine_class):  # type: ignore[misc,valid-type]
        HANDLERS = {
            **engine_class.HANDLERS,
            int(CommandKind.PLACE_ORDER): _failing(engine_class.HANDLERS[CommandKind.PLACE_ORDER]),
        }

    return Faulty


def _failing(place_order: Handler) -> Handler:
    def place(state: State, frames: bytes, offset: int) -> None:
        if frames.startswith(CRASH, offset + _CLIENT_ID_AT):
            os.kill(os.getpid(), signal.SIGSEGV)
        if frames.startswith(POISON, offset + _CLIENT_ID_AT):
            raise RuntimeError("poison: the chaos rig asked for a failure at this order")
        place_order(state, frames, offset)

    return place
