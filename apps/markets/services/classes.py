"""Asset classes: which assets are of one, and all its markets moved at once (T10, E4).

A market belongs to the classes of its base and its quote asset. What the engine of a shard does is its own affair, so
there is one request for each shard.
"""

from collections.abc import Iterable
from typing import Final
from uuid import uuid4

from django.db import transaction

from apps.markets.errors import ChangePending, InvalidMarket, UnknownAsset, UnknownClass, WrongState
from apps.markets.models import Asset, AssetClassChange, ClassStateChange, Market
from apps.markets.selectors import markets_of_class
from apps.markets.services.listing import announcement_key, check_class
from apps.markets.services.states import STATE_OF_ACTION, MarketAction
from apps.outbox import services as outbox
from apps.outbox.models import OutboxRow
from apps.outbox.requests import is_waiting, required_reason
from apps.streams.commands import SetClassState
from apps.streams.kinds import HaltCause
from apps.streams.messages import AssetSettings
from apps.streams.shards import DEFAULT_SHARD

# Closing cancels every order and is decided market by market.
CLASS_ACTIONS: Final = tuple(action for action in MarketAction if action != MarketAction.CLOSE)


@transaction.atomic
def change_asset_class(*, code: str, asset_class: str, reason: str, requested_by: str) -> list[AssetClassChange]:
    """Ask every engine that knows the asset to count it to that class (empty: to none).

    Raises UnknownAsset, ReasonMissing, InvalidMarket (no such name, nothing would change), ChangePending. Locks the
    asset's row, which follows the engine.
    """
    reason = required_reason(reason)
    check_class(asset_class)
    asset = Asset.objects.select_for_update().filter(code=code).first()
    if asset is None:
        raise UnknownAsset(f"There is no asset {code}.")
    for shard in _shards_that_know(asset):
        if is_waiting(asset.class_changes.filter(shard=shard).first()):
            raise ChangePending(f"An earlier change of {code} still waits for the engine.")
    if asset_class == asset.asset_class:
        raise InvalidMarket("Nothing would change.")
    settings = AssetSettings(asset_id=asset.id, code=asset.code, asset_class=asset_class)
    changes = []
    for shard in _shards_that_know(asset):
        change = AssetClassChange.objects.create(
            asset=asset,
            asset_class=asset_class,
            shard=shard,
            reason=reason,
            requested_by=requested_by,
            outbox_key=f"asset:{asset.id}:class:{uuid4().hex}",
        )
        outbox.enqueue_settings(key=change.outbox_key, settings=settings, shard=shard)
        changes.append(change)
    return changes


@transaction.atomic
def set_class_state(
    *, asset_class: str, action: MarketAction, reason: str, requested_by: str
) -> list[ClassStateChange]:
    """Record who asks for what and why, and send it to the engine of each shard that has a market of the class.

    Raises ReasonMissing, UnknownClass, WrongState (closing).
    """
    reason = required_reason(reason)
    if action not in CLASS_ACTIONS:
        raise WrongState("Closing cancels every order: close the markets of a class one by one.")
    if not asset_class or not Asset.objects.filter(asset_class=asset_class).exists():
        raise UnknownClass(f"No asset is of class {asset_class!r}.")
    shards = sorted(set(markets_of_class(asset_class).values_list("shard", flat=True)))
    if not shards:
        raise UnknownClass(f"No market has an asset of class {asset_class}.")
    state = STATE_OF_ACTION[action]
    changes = []
    for shard in shards:
        change = ClassStateChange.objects.create(
            asset_class=asset_class,
            shard=shard,
            state=Market.State(state),
            reason=reason,
            requested_by=requested_by,
            outbox_key=f"class:{asset_class}:state:{uuid4().hex[:24]}",
        )
        command = SetClassState(asset_class=asset_class, state=state, cause=HaltCause.STAFF, relay_seq=0, source=0)
        outbox.enqueue(key=change.outbox_key, command=command, shard=shard)
        changes.append(change)
    return changes


def _shards_that_know(asset: Asset) -> Iterable[str]:
    rows = OutboxRow.objects.filter(key__startswith=announcement_key(asset.id, DEFAULT_SHARD))
    known = dict(rows.values_list("key", "shard"))
    return sorted({shard for key, shard in known.items() if key == announcement_key(asset.id, shard)})
