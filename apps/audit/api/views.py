"""The newest checkpoint and proofs, for everyone: hashes only, never what an entry says (docs/audit.md)."""

from typing import Any, Final

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.audit.selectors import consistency_proof, inclusion_proof, newest_checkpoint
from apps.web.api.access import Access
from apps.web.api.parameters import Parameter, number_in, whole_number
from apps.web.api.problems import Refused, invalid
from apps.web.api.views import ApiView

INDEX: Final = whole_number("index", "Number of an entry, from 0.", is_required=True)
SIZE: Final = whole_number("size", "How many entries the tree has.", is_required=True)
FROM: Final = whole_number("from", "How many entries the older tree has.", is_required=True)
TO: Final = whole_number("to", "How many entries the younger tree has.", is_required=True)


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
    parameters = (INDEX, SIZE)

    @extend_schema(operation_id="inclusion_proof", responses=Inclusion)
    def get(self, request: Request) -> Response:
        """That entry `index` is in the tree of `size` entries (RFC 9162, 2.1.3)."""
        proof = inclusion_proof(index=number_needed(self.query, INDEX), size=number_needed(self.query, SIZE))
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
    parameters = (FROM, TO)

    @extend_schema(operation_id="consistency_proof", responses=Consistency)
    def get(self, request: Request) -> Response:
        """That the tree of `from` entries is the beginning of that of `to` entries (RFC 9162, 2.1.4)."""
        proof = consistency_proof(old=number_needed(self.query, FROM), size=number_needed(self.query, TO))
        told: dict[str, Any] = {
            "old": proof.old,
            "size": proof.size,
            "old_root": proof.old_root.hex(),
            "hashes": [each.hex() for each in proof.hashes],
            "root": proof.root.hex(),
        }
        return Response(Consistency(told).data)


def number_needed(query: dict[str, str], parameter: Parameter) -> int:
    found = number_in(query, parameter.name)
    if found is None:
        raise invalid(parameter.name, f"'{parameter.name}' is missing.")
    return found
