"""Pages of this app, included at the root of the site."""

from django.urls import path

from apps.wallets import views

app_name = "wallets"

urlpatterns = [path("account/balances", views.balances_page, name="balances")]
