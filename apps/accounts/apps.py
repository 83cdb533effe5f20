from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    label = "accounts"
    verbose_name = "Accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.accounts import audited
        from apps.accounts.selectors import find_user_subject
        from apps.controls import subjects
        from apps.controls.kinds import Scope

        audited.connect()
        subjects.register(Scope.USER, find_user_subject)
