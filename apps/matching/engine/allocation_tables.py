"""Allocation rules, and the shares of open block orders, as rows of a snapshot, sorted as snapshot_tables.py says."""

from collections.abc import Iterator

from apps.matching.engine.allocation import Block, Share
from apps.matching.engine.allocation_rules import AllocationRule
from apps.matching.engine.book import Order
from apps.matching.engine.snapshot_tables import Row, Rows
from apps.matching.engine.state import State


def allocation_rows(state: State) -> dict[str, Iterator[Row]]:
    """By table."""
    rules = [
        (account_id, rule_id, rule)
        for account_id, account in sorted(state.accounts.items())
        for rule_id, rule in sorted(account.allocations.items())
    ]
    blocks = [
        (order.order_id, order.terms.block)
        for order in state.open_orders()
        if order.terms is not None and order.terms.block is not None
    ]
    return {
        "allocations": ((account_id, rule_id, rule.method) for account_id, rule_id, rule in rules),
        "allocated_accounts": (
            (account_id, rule_id, *pair)
            for account_id, rule_id, rule in rules
            for pair in zip(rule.accounts, rule.weights_bp or (0,) * len(rule.accounts), strict=True)
        ),
        "blocks": ((order_id, block.rule_id, block.requested_crc) for order_id, block in blocks),
        "shares": (
            (order_id, share.seat.account.account_id, share.final_lots, share.allocated_lots)
            for order_id, block in blocks
            for share in block.shares
        ),
    }


def restore_rules(state: State, tables: Rows) -> None:
    members: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for account_id, rule_id, sub_account_id, weight_bp in tables["allocated_accounts"]:
        members.setdefault((account_id, rule_id), []).append((sub_account_id, weight_bp))
    for account_id, rule_id, method in tables["allocations"]:
        accounts, weights = zip(*members[account_id, rule_id], strict=True)
        rule = AllocationRule(method, accounts, weights if any(weights) else ())
        state.accounts[account_id].allocations[rule_id] = rule


def restored_blocks(state: State, tables: Rows, orders: dict[int, Order]) -> Iterator[tuple[int, Block]]:
    """(order_id, block) of each of the open `orders` that is one."""
    blocks = {order_id: Block(rule_id, requested_crc) for order_id, rule_id, requested_crc in tables["blocks"]}
    for order_id, account_id, final_lots, allocated_lots in tables["shares"]:
        market, account = orders[order_id].market, state.accounts[account_id]
        seat = market.seats.get(account_id) or account.take_seat(market)
        blocks[order_id].shares.append(Share(seat, final_lots, allocated_lots))
    yield from blocks.items()
