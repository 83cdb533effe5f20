from django.apps import AppConfig


class WalletsConfig(AppConfig):
    name = "apps.wallets"
    label = "wallets"
    verbose_name = "Wallets"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.wallets import ownparts  # noqa: F401  its parts register themselves
