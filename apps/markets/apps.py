from django.apps import AppConfig


class MarketsConfig(AppConfig):
    name = "apps.markets"
    label = "markets"
    verbose_name = "Markets"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.controls import halts, subjects
        from apps.controls.kinds import Scope
        from apps.markets import selectors

        subjects.register(Scope.ASSET, selectors.find_asset_subject)
        subjects.register(Scope.ASSET_CLASS, selectors.find_class_subject)
        halts.register(selectors.halts)
