"""Pages of this app, included at the root of the site."""

from django.urls import path, re_path

from apps.markets import views

app_name = "markets"

urlpatterns = [
    path("markets", views.market_list, name="list"),
    path("trade", views.trade_default, name="trade-default"),
    # Capitals only, so that /trade/ticket can never be taken for a market.
    re_path(r"^trade/(?P<symbol>[A-Z0-9]{1,20})$", views.trade, name="trade"),
]
