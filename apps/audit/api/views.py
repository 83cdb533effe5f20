"""The newest checkpoint and proofs, for everyone: hashes only, never what an entry says (docs/audit.md)."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.audit.selectors import consistency_proof, inclusion_proof, newest_checkpoint
from apps.web.api import paging
from apps.web.api.access import Access
from apps.web.api.problems import Refused, invalid
from apps.web.api.views import ApiView


class CheckpointShape(serializers.Serializer):
    size = serializers.IntegerField(help_text="Entries of the log.")
    note = serializers.CharField(help_text="Signed note (c2sp.org/tlog-checkpoint).")
    key = serializers.CharField(help_text="Its verifier key.")


class Inclusion(serializers.Serializer):
    index = serializers.IntegerField()
    size = serializers.IntegerField()
    leaf_hash = serializers.CharField()
    hashes = serializers.ListField(child=serializers.CharField())
    root = serializers.CharField()  # type: ignore[assignment]


# `from` is no name of Python's.
Consistency = type(
    "Consistency",
    (serializers.Serializer,),
    {
        "from": serializers.IntegerField(source="old"),
        "to": serializers.IntegerField(source="size"),
        "from_root": serializers.CharField(source="old_root"),
        "hashes": serializers.ListField(child=serializers.CharField()),
        "root": serializers.CharField(),
    },
)


class CheckpointView(ApiView):
    access = {"GET": Access.PUBLIC}

    @extend_schema(operation_id="checkpoint", responses=CheckpointShape)
    def get(self, request: Request) -> Response:
        """The newest checkpoint."""
        found = newest_checkpoint()
        if found is None:
            raise Refused("NO_CHECKPOINT", "The audit log has no entry yet.")
        return Response(CheckpointShape(found).data)


class InclusionView(ApiView):
    access = {"GET": Access.PUBLIC}
    parameters = ("index", "size")

    @extend_schema(operation_id="inclusion_proof", responses=Inclusion)
    def get(self, request: Request) -> Response:
        """That entry `index` is in the tree of `size` entries (RFC 9162, 2.1.3)."""
        proof = inclusion_proof(index=number_needed(self.query, "index"), size=number_needed(self.query, "size"))
        told: dict[str, Any] = {
            "index": proof.index,
            "size": proof.size,
            "leaf_hash": proof.leaf.hex(),
            "hashes": [each.hex() for each in proof.hashes],
            "root": proof.root.hex(),
        }
        return Response(Inclusion(told).data)


class ConsistencyView(ApiView):
    access = {"GET": Access.PUBLIC}
    parameters = ("from", "to")

    @extend_schema(operation_id="consistency_proof", responses=Consistency)
    def get(self, request: Request) -> Response:
        """That the tree of `from` entries is the beginning of that of `to` entries (RFC 9162, 2.1.4)."""
        proof = consistency_proof(old=number_needed(self.query, "from"), size=number_needed(self.query, "to"))
        told: dict[str, Any] = {
            "old": proof.old,
            "size": proof.size,
            "old_root": proof.old_root.hex(),
            "hashes": [each.hex() for each in proof.hashes],
            "root": proof.root.hex(),
        }
        return Response(Consistency(told).data)


def number_needed(query: dict[str, str], name: str) -> int:
    found = paging.number_in(query, name)
    if found is None:
        raise invalid(name, f"'{name}' is missing.")
    return found
