"""`manage.py demo_data`: the assets and markets of the demonstration, opened, with some simulated history."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apps.common.clock import now_ms
from apps.markets import demo
from apps.markets.models import Asset, Market
from apps.markets.services import MarketAction, create_asset, create_market, set_market_state
from apps.markets.simulator.history import write_history

REQUESTED_BY = "demo_data"
REASON = "demonstration market"


class Command(BaseCommand):
    help = (
        "Create the demonstration's assets and markets, open them, and give them two days of simulated candles where "
        "the simulator is on. What exists is left alone. The engine need not run: its commands wait in the outbox."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENVIRONMENT == "production":
            raise CommandError("demo_data is for development; production refuses it. Nothing was made.")
        assets = set(Asset.objects.values_list("code", flat=True))
        for code, name, asset_class in demo.ASSETS:
            if code not in assets:
                create_asset(code=code, name=name, asset_class=asset_class)
        markets = set(Market.objects.values_list("symbol", flat=True))
        made = [market for market in demo.MARKETS if market.symbol not in markets]
        for market in made:
            with transaction.atomic():
                create_market(
                    base=market.base, quote=market.quote, terms=market.terms(), reason=REASON, requested_by=REQUESTED_BY
                )
                set_market_state(
                    symbol=market.symbol, action=MarketAction.OPEN, reason=REASON, requested_by=REQUESTED_BY
                )
        bars = write_history(until_ms=now_ms()) if settings.SIMULATOR else 0
        self.stdout.write(f"demo data: {len(made)} markets made, {len(markets)} found, {bars} simulated candles.")
