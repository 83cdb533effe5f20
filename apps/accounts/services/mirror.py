"""What the engine did, written by settlement inside its own transaction (decision 0007). Both take its cursor."""

import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import psycopg

from apps.streams.messages import AllocationSettings

_ACCOUNTS: Final = """
INSERT INTO accounts_accountsettings (shard, account_id, family_id, fee_tier, seq)
SELECT %s, * FROM unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[])
    ON CONFLICT (shard, account_id) DO UPDATE
   SET family_id = EXCLUDED.family_id, fee_tier = EXCLUDED.fee_tier, seq = EXCLUDED.seq
"""
_SET_RULE: Final = """
INSERT INTO accounts_allocationrule (shard, account_id, rule_id, method, accounts, weights_bp, seq)
VALUES (%s, %s, %s, %s, %s::jsonb, %s::jsonb, %s)
    ON CONFLICT (shard, account_id, rule_id) DO UPDATE
   SET method = EXCLUDED.method, accounts = EXCLUDED.accounts, weights_bp = EXCLUDED.weights_bp, seq = EXCLUDED.seq
"""
_REMOVE_RULE: Final = "DELETE FROM accounts_allocationrule WHERE shard = %s AND account_id = %s AND rule_id = %s"


class Taken(NamedTuple):
    """Family and fee tier of an account after event `seq`."""

    account_id: int
    family_id: int
    fee_tier: int
    seq: int


def mirror_accounts(cursor: psycopg.Cursor[Any], *, shard: str, taken: Sequence[Taken]) -> None:
    """SETTINGS_APPLIED of accounts, ascending by seq: the last one of each stays."""
    last = {each.account_id: each for each in taken}
    if last:
        cursor.execute(_ACCOUNTS, [shard, *map(list, zip(*last.values(), strict=True))])


def mirror_allocation(cursor: psycopg.Cursor[Any], *, shard: str, settings: AllocationSettings, seq: int) -> None:
    """SETTINGS_APPLIED of an allocation rule; one without accounts is no rule any more."""
    if not settings.accounts:
        cursor.execute(_REMOVE_RULE, [shard, settings.account_id, settings.rule_id])
        return
    cursor.execute(
        _SET_RULE,
        [
            shard, settings.account_id, settings.rule_id, settings.method, json.dumps(settings.accounts),
            json.dumps(settings.weights_bp), seq,
        ],
    )  # fmt: skip
