"""Staff see which e-mails went out and which did not, never what one says: it may carry a link that lets one in."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.audit.recordadmin import RecordAdmin
from apps.notifications.errors import ContentUnreadable, NotSendable
from apps.notifications.models import OutgoingEmail
from apps.notifications.services import send_again
from apps.outbox.admin import ReasonActionForm, staff_name


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
