"""Staff see which e-mails went out and which did not, never what one says: it may carry a link that lets one in.

And they put banners on the pages and take them off.
"""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from apps.audit.recordadmin import RecordAdmin
from apps.notifications.bannerforms import BannerForm
from apps.notifications.errors import BannerOver, ContentUnreadable, InvalidBanner, NotSendable
from apps.notifications.models import Banner, OutgoingEmail
from apps.notifications.services import send_again, withdraw_banner
from apps.outbox.admin import ASKED_ONCE, ReasonActionForm, staff_name


@admin.register(OutgoingEmail)
class OutgoingEmailAdmin(RecordAdmin):
    list_display = ("id", "to", "subject", "topic", "state", "attempts", "created_at", "ended_at", "last_error")
    list_filter = ("state", "topic")
    search_numbers = ("id",)
    search_texts = ("to", "message_id")
    search_help_text = "Number, whole address or Message-ID"
    exclude = ("content",)
    list_select_related = False
    action_form = ReasonActionForm
    actions = ("send_again",)

    def has_send_again_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.send_again_outgoingemail")

    @admin.action(description="Send again", permissions=["send_again"])
    def send_again(self, request: HttpRequest, queryset: QuerySet[OutgoingEmail]) -> None:
        """One copy of each; those that cannot be sent again are named."""
        reason = request.POST.get("reason", "")
        for email in queryset.only("pk"):
            try:
                copy = send_again(email_id=email.pk, asked_by=staff_name(request), reason=reason)
            except (NotSendable, ContentUnreadable) as error:
                messages.error(request, f"{error.message} Nothing was sent.")
            else:
                messages.success(request, f"E-mail {email.pk} is sent again as {copy.pk}.")


@admin.register(Banner)
class BannerAdmin(RecordAdmin):
    """A banner is made and withdrawn, each with a reason; what it says is never changed."""

    list_display = (
        "id", "severity", "text", "audience", "chosen", "starts_at", "ends_at", "withdrawn_at", "made_by", "reason",
    )  # fmt: skip
    list_filter = ("severity", "audience")
    search_numbers = ("id",)
    action_form = ReasonActionForm
    actions = ("withdraw",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.add_banner")

    def has_withdraw_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.withdraw_banner")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return BannerForm if obj is None else super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Banner | None = None) -> Any:
        return BannerForm.Meta.fields if obj is None else (*self.list_display, "is_dismissible", "link", "link_text")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        counted: QuerySet[Any] = super().get_queryset(request).annotate(recipients_count=Count("recipients"))
        return counted

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        return super().changeform_view(request, object_id, form_url, ASKED_ONCE | (extra_context or {}))

    @admin.display(description="users")
    def chosen(self, banner: Any) -> str:
        return str(banner.recipients_count or "")

    def save_model(self, request: HttpRequest, obj: Banner, form: Any, change: bool) -> None:
        """The form's own instance is never saved: the service writes."""
        with transaction.atomic():
            obj.pk = form.request(staff_name(request)).pk

    def response_add(self, request: HttpRequest, obj: Banner, post_url_continue: str | None = None) -> HttpResponse:
        messages.success(request, f"Banner {obj.pk} is made.")
        return redirect("admin:notifications_banner_changelist")

    @admin.action(description="Withdraw", permissions=["withdraw"])
    def withdraw(self, request: HttpRequest, queryset: QuerySet[Banner]) -> None:
        reason = request.POST.get("reason", "")
        for banner in queryset.only("pk"):
            try:
                withdraw_banner(banner_id=banner.pk, asked_by=staff_name(request), reason=reason)
            except (BannerOver, InvalidBanner) as error:
                messages.error(request, f"Banner {banner.pk}: {error.message} Nothing was changed.")
            else:
                messages.success(request, f"Banner {banner.pk} is withdrawn.")
