"""Pages of this app, included at the root of the site."""

from django.urls import path

from apps.orders import allocationviews

app_name = "orders"

urlpatterns = [
    path("account/allocation-rules", allocationviews.rules_page, name="allocation-rules"),
    path("account/allocation-rules/<int:rule_id>", allocationviews.rule_page, name="allocation-rule"),
    path("account/allocation-rules/<int:rule_id>/remove", allocationviews.remove_action, name="remove-allocation-rule"),
]
