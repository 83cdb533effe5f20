"""Pages of this app, included at the root of the site."""

from django.urls import path

from apps.orders import allocationexample, allocationviews, feeviews, historyviews

app_name = "orders"

urlpatterns = [
    path("account/allocation-rules", allocationviews.rules_page, name="allocation-rules"),
    path("account/allocation-rules/<int:rule_id>", allocationviews.rule_page, name="allocation-rule"),
    path("account/allocation-rules/<int:rule_id>/preview", allocationexample.example, name="allocation-preview"),
    path("account/allocation-rules/<int:rule_id>/remove", allocationviews.remove_action, name="remove-allocation-rule"),
    path("account/fees", feeviews.fees_page, name="fees"),
    path("account/orders", historyviews.orders_view, name="orders"),
    path("account/orders.csv", historyviews.orders_file, name="orders-file"),
    path("account/trades", historyviews.trades_view, name="trades"),
    path("account/trades.csv", historyviews.trades_file, name="trades-file"),
]
