"""Public pages of the audit log: the newest checkpoint, its key and proofs. Hashes only, never what an entry says."""

import re
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from apps.audit.errors import NoSuchProof
from apps.audit.limits import limited
from apps.audit.selectors import consistency_proof, inclusion_proof, newest_checkpoint

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)
_NONE_YET: Final = "The audit log has no entry yet. The process 'outbox' signs the first checkpoint when it starts.\n"


@never_cache
@require_GET
@limited
def checkpoint(request: HttpRequest) -> HttpResponse:
    """The newest checkpoint, a signed note (c2sp.org/tlog-checkpoint)."""
    newest = newest_checkpoint()
    return _text(newest.note if newest is not None else None)


@never_cache
@require_GET
@limited
def key(request: HttpRequest) -> HttpResponse:
    """The verifier key of the newest checkpoint. Whoever anchors the log keeps it from the day it was first seen."""
    newest = newest_checkpoint()
    return _text(newest.key + "\n" if newest is not None else None)


@never_cache
@require_GET
@limited
def inclusion(request: HttpRequest) -> JsonResponse:
    """?index=&size=: that entry `index` is in the tree of `size` entries."""

    def answer(index: int, size: int) -> dict[str, object]:
        proof = inclusion_proof(index=index, size=size)
        return {
            "index": index,
            "size": size,
            "leaf_hash": proof.leaf.hex(),
            "hashes": [each.hex() for each in proof.hashes],
            "root": proof.root.hex(),
        }

    return _proof(request, ("index", "size"), answer)


@never_cache
@require_GET
@limited
def consistency(request: HttpRequest) -> JsonResponse:
    """?from=&to=: that the tree of `from` entries is the beginning of the tree of `to` entries."""

    def answer(old: int, size: int) -> dict[str, object]:
        proof = consistency_proof(old=old, size=size)
        return {
            "from": old,
            "to": size,
            "from_root": proof.old_root.hex(),
            "hashes": [each.hex() for each in proof.hashes],
            "root": proof.root.hex(),
        }

    return _proof(request, ("from", "to"), answer)


def _proof(
    request: HttpRequest, names: tuple[str, str], answer: Callable[[int, int], dict[str, object]]
) -> JsonResponse:
    try:
        unknown = sorted(set(request.GET) - set(names))
        if unknown:
            raise NoSuchProof(f"There is no parameter {unknown[0][:40]!r}: there are '{names[0]}' and '{names[1]}'.")
        return JsonResponse(answer(*(_number(request, name) for name in names)))
    except NoSuchProof as error:
        return JsonResponse({"error": {"code": error.code, "message": error.message}}, status=400)


def _number(request: HttpRequest, name: str) -> int:
    values = request.GET.getlist(name)
    if len(values) != 1 or _NUMBER.fullmatch(values[0]) is None:
        raise NoSuchProof(f"'{name}' must be given once, as a whole number such as 17.")
    return int(values[0])


def _text(text: str | None) -> HttpResponse:
    return HttpResponse(
        _NONE_YET if text is None else text, content_type="text/plain; charset=utf-8", status=200 if text else 404
    )
