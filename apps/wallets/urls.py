"""Pages of this app, included at the root of the site."""

from django.urls import path

from apps.wallets import closingviews, views

app_name = "wallets"

urlpatterns = [
    path("account/balances", views.balances_page, name="balances"),
    path("account/balances/value-in", views.value_in_action, name="value-in"),
    path("account/close", closingviews.close_page, name="close-account"),
]
