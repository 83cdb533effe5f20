"""Notices: list, mark read, preferences. By sessions alone: what a program has read, nobody has seen."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.notifications.models import Notice, Topic
from apps.notifications.rules import EVERY_WAY, MANDATORY, Ways
from apps.notifications.selectors import preferences_of
from apps.notifications.services import mark_all_read, mark_read, set_preferences
from apps.notifications.sessions import still_in
from apps.web.api import paging
from apps.web.api.access import Access, caller_of
from apps.web.api.fields import Flag, Nothing, Sent, WholeNumber
from apps.web.api.views import ApiView, http_request


class NoticeShape(serializers.Serializer):
    id = serializers.IntegerField()
    topic = serializers.ChoiceField(Topic.choices)
    title = serializers.CharField()
    body = serializers.CharField()
    link = serializers.CharField(help_text="A path of this site, or empty.")
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


class AllReadSent(Sent):
    newest = WholeNumber(help_text="The newest notice that was shown: those after it stay unread.")


class Marked(serializers.Serializer):
    marked = serializers.IntegerField()


class Preference(serializers.Serializer):
    topic = serializers.ChoiceField(Topic.choices)
    in_app = serializers.BooleanField()
    email = serializers.BooleanField()
    is_fixed = serializers.BooleanField(help_text="It cannot be turned off.")


class Preferences(serializers.Serializer):
    items = Preference(many=True)


class PreferenceSent(Sent):
    topic = serializers.ChoiceField(Topic.choices)
    in_app = Flag()
    email = Flag()


class NoticesView(ApiView):
    access = {"GET": Access.SESSION}
    parameters = paging.PARAMETERS

    @extend_schema(operation_id="list_notices", responses=paging.pages(NoticeShape))
    def get(self, request: Request) -> Response:
        """Newest first."""
        own = Notice.objects.filter(user_id=caller_of(request).user_id)
        return Response(paging.shown(paging.page_of(own, self.wanted_page(), newest_first=True), NoticeShape))


class ReadView(ApiView):
    access = {"POST": Access.SESSION}

    @extend_schema(operation_id="read_notice", request=Nothing, responses={204: None})
    def post(self, request: Request, notice_id: int) -> Response:
        """Marks one as read."""
        self.sent(request, Nothing)
        mark_read(user_id=caller_of(request).user_id, notice_id=notice_id)
        return Response(status=204)


class ReadAllView(ApiView):
    access = {"POST": Access.SESSION}

    @extend_schema(operation_id="read_notices", request=AllReadSent, responses=Marked)
    def post(self, request: Request) -> Response:
        """Marks all as read up to one."""
        sent = self.sent(request, AllReadSent)
        marked = mark_all_read(user_id=caller_of(request).user_id, newest_id=sent["newest"])
        return Response(Marked({"marked": marked}).data)


class PreferencesView(ApiView):
    access = {"GET": Access.SESSION, "PATCH": Access.SESSION}

    @extend_schema(operation_id="notice_preferences", responses=Preferences)
    def get(self, request: Request) -> Response:
        """What the user is told, and how."""
        return Response(_preferences(caller_of(request).user_id))

    @extend_schema(operation_id="set_notice_preference", request=PreferenceSent, responses=Preferences)
    def patch(self, request: Request) -> Response:
        """Another choice for one topic."""
        sent, user_id = self.sent(request, PreferenceSent), caller_of(request).user_id
        with still_in(http_request(request)):
            set_preferences(user_id=user_id, chosen={Topic(sent["topic"]): Ways(sent["in_app"], sent["email"])})
        return Response(_preferences(user_id))


def _preferences(user_id: int) -> Any:
    held = dict.fromkeys(MANDATORY, EVERY_WAY) | preferences_of(user_id=user_id)
    items = [
        {"topic": topic, "in_app": held[topic].in_app, "email": held[topic].email, "is_fixed": topic in MANDATORY}
        for topic in Topic
    ]
    return Preferences({"items": items}).data
