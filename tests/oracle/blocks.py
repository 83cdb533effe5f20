"""Block orders, divided among sub-accounts (matching-rules 8)."""

import struct

import msgspec

from apps.streams.commands import PlaceBlock, SetAllocation
from apps.streams.events import SettingsApplied
from apps.streams.kinds import AllocationMethod, Reason
from apps.streams.messages import AllocationSettings, SettingsError
from apps.streams.records import FRAME_SIZE
from tests.oracle.refusing import refuse
from tests.oracle.shares import largest_remainder
from tests.oracle.world import Order, Share, World

# Rules


def set_allocation(world: World, command: SetAllocation, body: bytes | None) -> None:
    """A rule of its owner; one without accounts is no rule any more."""
    try:
        settings = msgspec.msgpack.decode(body or b"", type=AllocationSettings)
        settings.check()
    except (msgspec.MsgspecError, UnicodeDecodeError, SettingsError):
        refuse(world, command, Reason.INVALID_SETTINGS, object_id=command.account_id)
        return
    reason = Reason.NONE
    if settings.account_id != command.account_id:
        reason = Reason.INVALID_SETTINGS
    elif settings.account_id not in world.accounts:
        reason = Reason.UNKNOWN_ACCOUNT
    elif not in_family(world, settings):
        reason = Reason.ALLOCATION_FAMILY
    if reason:
        refuse(world, command, reason, object_id=command.account_id)
        return
    key = (settings.account_id, settings.rule_id)
    if settings.accounts:
        world.allocation_rules[key] = settings
    else:
        world.allocation_rules.pop(key, None)
    world.emit(
        SettingsApplied,
        market_id=command.market_id,
        account_id=command.account_id,
        relay_seq=command.relay_seq,
        source=command.source,
        op=command.KIND,
        object_id=settings.rule_id,
        settings_version=0,
        family_id=0,
        fee_tier=0,
    )


def in_family(world: World, rule: AllocationSettings) -> bool:
    family = world.accounts[rule.account_id].family
    accounts = [world.accounts.get(account_id) for account_id in rule.accounts]
    return all(account is not None and account.family == family for account in accounts)


# The order


def requested(run: bytes, head: PlaceBlock) -> list[int] | None:
    """The lots in the last frames of the run; None where it has not so many."""
    frames = -(-8 * head.requested_count // FRAME_SIZE)
    if len(run) < FRAME_SIZE * (2 + frames):
        return None
    return list(struct.unpack_from(f"<{head.requested_count}q", run, len(run) - frames * FRAME_SIZE))


def shares_of(world: World, order: Order, head: PlaceBlock, lots: list[int]) -> Reason:
    """Give the order its shares, or say why it has none."""
    rule = world.allocation_rules.get((head.account_id, head.rule_id))
    if rule is None:
        return Reason.UNKNOWN_ALLOCATION
    if not in_family(world, rule):
        return Reason.ALLOCATION_FAMILY
    weights = {
        AllocationMethod.FIXED: rule.weights_bp,
        AllocationMethod.EQUAL: [1] * len(rule.accounts),
        AllocationMethod.PRO_RATA: lots,
    }[AllocationMethod(rule.method)]
    pro_rata = rule.method == AllocationMethod.PRO_RATA
    if len(lots) != (len(rule.accounts) if pro_rata else 0) or min(weights) < 0 or sum(weights) == 0:
        return Reason.ALLOCATION_WEIGHTS
    finals = largest_remainder(order.quantity, weights)
    order.shares = [Share(world.accounts[a], final) for a, final in zip(rule.accounts, finals, strict=True)]
    return Reason.NONE
