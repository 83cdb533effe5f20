"""What a relayed command is answered that changes nothing."""

from typing import Any

from apps.streams.events import RelayRefused
from apps.streams.kinds import Reason
from tests.oracle.world import World


def refuse(world: World, command: Any, reason: Reason, *, object_id: int) -> None:
    world.emit(
        RelayRefused,
        reason=reason,
        market_id=command.market_id,
        account_id=command.account_id,
        relay_seq=command.relay_seq,
        source=command.source,
        op=command.KIND,
        object_id=object_id,
        amount_units=getattr(command, "amount_units", 0),
        key=getattr(command, "key", ""),
    )
