"""The ledger for staff: it can be looked at, never changed."""

from django.contrib import admin

from apps.audit.recordadmin import RecordAdmin
from apps.common.amounts import for_reading, format_units
from apps.ledger.models import Balance, Entry, HouseTotal


@admin.register(Entry)
class EntryAdmin(RecordAdmin):
    list_display = ("shard", "seq", "n", "kind", "owner_id", "asset_id", "amount")
    list_display_links = ("seq",)
    list_filter = ("kind",)
    search_numbers = ("owner_id",)
    search_help_text = "Number of a trading account"

    @admin.display(ordering="amount_units")
    def amount(self, row: Entry) -> str:
        return for_reading(format_units(row.amount_units))


@admin.register(Balance)
class BalanceAdmin(RecordAdmin):
    list_display = ("account_id", "asset_id", "available", "held", "seq", "shard")
    search_numbers = ("account_id",)
    search_help_text = "Number of a trading account"

    @admin.display(ordering="available_units")
    def available(self, row: Balance) -> str:
        return for_reading(format_units(row.available_units))

    @admin.display(ordering="held_units")
    def held(self, row: Balance) -> str:
        return for_reading(format_units(row.held_units))


@admin.register(HouseTotal)
class HouseTotalAdmin(RecordAdmin):
    list_display = ("kind", "asset_id", "total", "seq", "shard")
    list_filter = ("kind",)
    search_numbers = ("asset_id",)
    search_help_text = "Number of an asset"

    @admin.display(ordering="posted_units")
    def total(self, row: HouseTotal) -> str:
        return for_reading(format_units(row.posted_units))
