"""Static files from the site process itself: whitenoise, answering from memory as ASGI wants it."""

from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFiles(WhiteNoiseMiddleware):
    """whitenoise streams through a synchronous iterator, which ASGI would have to drain in a thread per file."""

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        body = b""
        if found.file is not None:
            with found.file as file:
                body = file.read()
        response = HttpResponse(body, status=int(found.status))
        del response["Content-Type"]
        for name, value in found.headers:
            response[name] = value
        return response


class HashedFiles(CompressedManifestStaticFilesStorage):
    """Names carry a hash of the content; imports between ES modules are rewritten to those names."""

    support_js_module_import_aggregation = True
