from django.apps import AppConfig
from django.db.models.signals import post_migrate


class AccountsConfig(AppConfig):
    name = "apps.accounts"
    label = "accounts"
    verbose_name = "Accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from apps.accounts import (
            audited,
            ownparts,  # noqa: F401  its parts register themselves
        )
        from apps.accounts.lostfactorkind import LOST_FACTOR
        from apps.accounts.selectors import find_user_subject
        from apps.accounts.services.ending import still_in
        from apps.accounts.services.reopening import RELEASE_LOCK, SWITCH_ON
        from apps.accounts.services.staffroles import GIVE_ROLE, install
        from apps.controls import approvalkinds, subjects
        from apps.controls.kinds import Scope
        from apps.notifications import sessions

        audited.connect()
        for kind in (GIVE_ROLE, SWITCH_ON, RELEASE_LOCK, LOST_FACTOR):
            approvalkinds.register(kind)
        post_migrate.connect(install, dispatch_uid="roles of staff")
        subjects.register(Scope.USER, find_user_subject)
        sessions.register(still_in)
