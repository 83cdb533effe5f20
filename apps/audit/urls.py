from django.urls import path

from apps.audit import views

app_name = "audit"
urlpatterns = [
    path("audit/checkpoint", views.checkpoint, name="checkpoint"),
    path("audit/key", views.key, name="key"),
    path("audit/proof/inclusion", views.inclusion, name="inclusion"),
    path("audit/proof/consistency", views.consistency, name="consistency"),
]
