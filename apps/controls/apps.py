from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ControlsConfig(AppConfig):
    name = "apps.controls"
    label = "controls"
    verbose_name = "Switches"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.controls import approvalkinds
        from apps.controls.services import install
        from apps.controls.services.switchends import END_SWITCH

        approvalkinds.register(END_SWITCH)
        post_migrate.connect(install, sender=self, dispatch_uid="switches that always exist")
