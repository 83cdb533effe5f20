"""Sessions of the user's browsers: list and end (requirement A7)."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.api.authentication import user_of
from apps.accounts.api.shapes import Session, SessionsEnded
from apps.accounts.services.ending import end_other_sessions, end_session
from apps.accounts.visitselectors import open_sessions_of
from apps.web.api import paging
from apps.web.api.access import Access, caller_of
from apps.web.api.fields import Nothing
from apps.web.api.views import ApiView, http_request


class SessionsView(ApiView):
    access = {"GET": Access.SESSION}
    parameters = paging.PARAMETERS

    @extend_schema(operation_id="list_sessions", responses=paging.pages(Session))
    def get(self, request: Request) -> Response:
        """Those that still let somebody in, newest first."""
        here = http_request(request).session.session_key
        found = open_sessions_of(user=user_of(request), session_key=here, now=timezone.now())
        by_number = sorted(found, key=lambda each: -each.id)
        page = paging.cut(by_number, self.wanted_page(), lambda each: each.id)
        return Response(paging.shown(page, Session))


class SessionView(ApiView):
    access = {"DELETE": Access.SESSION}

    @extend_schema(operation_id="end_session", responses={204: None})
    def delete(self, request: Request, session_id: int) -> Response:
        """Log out there; what was open for trading closes within five seconds."""
        end_session(user_id=caller_of(request).user_id, session_id=session_id)
        return Response(status=204)


class EndOthersView(ApiView):
    access = {"POST": Access.SESSION}

    @extend_schema(operation_id="end_other_sessions", request=Nothing, responses=SessionsEnded)
    def post(self, request: Request) -> Response:
        """Log out everywhere else."""
        self.sent(request, Nothing)
        here = http_request(request).session.session_key
        ended = end_other_sessions(user_id=caller_of(request).user_id, session_key=here)
        return Response(SessionsEnded({"ended": ended}).data)
