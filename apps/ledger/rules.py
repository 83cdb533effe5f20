"""Posting rules: which entries one event makes. The only place that says so (T13, F1, F4).

Sign: a positive amount raises what the platform owes the owner; each event's postings sum to zero per asset.
This form is for reading and for single events; columns.py is the same for whole batches of trades, and a property test
keeps the two equal.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from apps.common.amounts import safu_share
from apps.ledger.models import OwnerKind
from apps.streams.events import Allocated, MoneyMoved, Trade
from apps.streams.kinds import AllocationStep, CommandKind, Counterparty, Side, TradeFlag

# The ledger account behind each counterparty of a money command.
COUNTERPARTIES: Final = {Counterparty.EXTERNAL: OwnerKind.EXTERNAL}


@dataclass(frozen=True, slots=True)
class MarketTerms:
    """What turns ticks and lots of one market into units of its two assets."""

    base_asset_id: int
    quote_asset_id: int
    lot_size: int
    unit_factor: int


class Posting(NamedTuple):
    """One entry: its number n within the ledger transaction, whose account, and the signed amount in units."""

    n: int
    asset_id: int
    kind: OwnerKind
    owner_id: int
    amount_units: int


def trade_postings(trade: Trade, terms: MarketTerms) -> list[Posting]:
    """Entries of one execution, numbered by role so that n says which it is; house lines of 0 are left out.

    0 buyer quote, 1 seller quote, 2 buyer base, 3 seller base, 4 SAFU base, 5 FEES base, 6 SAFU quote, 7 FEES quote.
    A fee is taken from what the party receives. A rebate (maker_fee_units < 0) is paid to the maker in what the
    *taker* receives. SAFU gets 10 % of each gross fee, rounded up; house income is the rest.
    """
    quote_units = trade.price_ticks * trade.quantity_lots * terms.unit_factor
    base_units = trade.quantity_lots * terms.lot_size
    rebate, maker_fee = max(-trade.maker_fee_units, 0), max(trade.maker_fee_units, 0)
    if trade.flags & TradeFlag.TAKER_IS_BUYER:
        buyer, seller = trade.account_id, trade.maker_account_id
        base_fee, base_rebate, quote_fee, quote_rebate = trade.taker_fee_units, rebate, maker_fee, 0
    else:
        buyer, seller = trade.maker_account_id, trade.account_id
        base_fee, base_rebate, quote_fee, quote_rebate = maker_fee, 0, trade.taker_fee_units, rebate
    base, quote = terms.base_asset_id, terms.quote_asset_id
    base_safu, quote_safu = safu_share(base_fee), safu_share(quote_fee)
    users = [
        Posting(0, quote, OwnerKind.USER, buyer, -quote_units + quote_rebate),
        Posting(1, quote, OwnerKind.USER, seller, quote_units - quote_fee),
        Posting(2, base, OwnerKind.USER, buyer, base_units - base_fee),
        Posting(3, base, OwnerKind.USER, seller, -base_units + base_rebate),
    ]
    house = [
        Posting(4, base, OwnerKind.SAFU, 0, base_safu),
        Posting(5, base, OwnerKind.FEES, 0, base_fee - base_safu - base_rebate),
        Posting(6, quote, OwnerKind.SAFU, 0, quote_safu),
        Posting(7, quote, OwnerKind.FEES, 0, quote_fee - quote_safu - quote_rebate),
    ]
    return users + [posting for posting in house if posting.amount_units]


def allocation_postings(event: Allocated, terms: MarketTerms) -> list[Posting]:
    """What a block order's owner, who stands in the trade, hands on to the sub-account that got lots of it (T12).

    0 owner quote, 1 sub-account quote, 2 owner base, 3 sub-account base. None where the owner has a share itself, or
    for a step without money. A share of the fee is paid from what the sub-account receives, a share of a rebate
    (fee_units < 0) comes in what the order pays with.
    """
    if event.step != AllocationStep.FILLED or event.account_id == event.owner_account_id:
        return []
    quote_units = event.price_ticks * event.quantity_lots * terms.unit_factor
    base_units = event.quantity_lots * terms.lot_size
    fee, rebate = max(event.fee_units, 0), max(-event.fee_units, 0)
    if event.side == Side.BUY:
        quote_change, base_change = rebate - quote_units, base_units - fee
    else:
        quote_change, base_change = quote_units - fee, rebate - base_units
    return [
        Posting(0, terms.quote_asset_id, OwnerKind.USER, event.owner_account_id, -quote_change),
        Posting(1, terms.quote_asset_id, OwnerKind.USER, event.account_id, quote_change),
        Posting(2, terms.base_asset_id, OwnerKind.USER, event.owner_account_id, -base_change),
        Posting(3, terms.base_asset_id, OwnerKind.USER, event.account_id, base_change),
    ]


def money_postings(event: MoneyMoved) -> list[Posting]:
    """Entries of a money command: none for HOLD and RELEASE, which only move between available and held."""
    amount = event.amount_units
    if event.op in (CommandKind.HOLD, CommandKind.RELEASE):
        return []
    if event.op == CommandKind.TRANSFER or (event.op == CommandKind.CAPTURE and event.to_account_id):
        return [
            Posting(0, event.asset_id, OwnerKind.USER, event.account_id, -amount),
            Posting(1, event.asset_id, OwnerKind.USER, event.to_account_id, amount),
        ]
    assert event.op in (CommandKind.CREDIT, CommandKind.DEBIT, CommandKind.CAPTURE), f"no posting rule for {event}"
    counter = COUNTERPARTIES[Counterparty(event.counter)]
    signed = amount if event.op == CommandKind.CREDIT else -amount
    return [
        Posting(0, event.asset_id, OwnerKind.USER, event.account_id, signed),
        Posting(1, event.asset_id, counter, 0, -signed),
    ]
