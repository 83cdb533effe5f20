"""Public pages: checkpoint, key, proofs, clear refusals. And the staff page, for who may see it."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.audit.actions import ACTIONS
from apps.audit.actors import Actor, ActorKind
from apps.audit.errors import InvalidEntry
from apps.audit.models import Entry, Record
from apps.audit.notes import read_verifier_key, verify
from apps.audit.services import record as write_record
from apps.audit.tree import is_consistent, root_by_inclusion
from apps.web.api import buckets
from apps.web.api.policy import Limit
from tests.accounts.factors import enter_admin
from tests.audit.log import ORIGIN, sequence, write

pytestmark = pytest.mark.django_db(transaction=True)


def test_before_the_first_entry_they_say_so(client: Client) -> None:
    for path in ("/audit/checkpoint", "/audit/key"):
        answer = client.get(path)
        assert (answer.status_code, answer["Content-Type"]) == (404, "text/plain; charset=utf-8")
        assert b"no entry yet" in answer.content
    assert client.get("/api/platform/v1/audit/checkpoint").json()["code"] == "NO_CHECKPOINT"
    answer = client.get("/audit/proof/inclusion", {"index": "0", "size": "1"})
    assert answer.status_code == 400


def test_everything_that_is_published_fits_together(client: Client) -> None:
    write(4)
    sequence()
    older = client.get("/audit/checkpoint").content.decode()
    write(6)
    sequence()
    answer = client.get("/audit/checkpoint")
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    key = read_verifier_key(client.get("/audit/key").content.decode())
    newest, old = verify(answer.content.decode(), key), verify(older, key)
    assert (newest.origin, old.size, newest.size) == (ORIGIN, 5, 11)
    proof = client.get("/audit/proof/consistency", {"from": "5", "to": "11"}).json()
    assert (proof["from_root"], proof["root"]) == (old.root.hex(), newest.root.hex())
    hashes = [bytes.fromhex(each) for each in proof["hashes"]]
    assert is_consistent(5, 11, old.root, newest.root, hashes)
    for index in range(11):
        shown = client.get("/audit/proof/inclusion", {"index": str(index), "size": "11"}).json()
        hashes = [bytes.fromhex(each) for each in shown["hashes"]]
        assert root_by_inclusion(index, 11, bytes.fromhex(shown["leaf_hash"]), hashes) == newest.root
        assert (shown["index"], shown["size"], shown["root"]) == (index, 11, newest.root.hex())
    # The platform API says the same.
    api = "/api/platform/v1/audit"
    told = client.get(f"{api}/checkpoint").json()
    assert (told["size"], told["note"]) == (11, answer.content.decode())
    assert read_verifier_key(told["key"]) == key
    assert client.get(f"{api}/proofs/consistency", {"from": "5", "to": "11"}).json() == proof
    assert client.get(f"{api}/proofs/inclusion", {"index": "10", "size": "11"}).json() == shown
    for path, query, status, code in (
        ("inclusion", {"index": "11", "size": "11"}, 422, "audit_no_such_proof"),
        ("inclusion", {"index": "1"}, 400, "INVALID_REQUEST"),
        ("inclusion", {"index": "01", "size": "2"}, 400, "INVALID_REQUEST"),
        ("consistency", {"from": "6", "to": "5"}, 422, "audit_no_such_proof"),
    ):
        refused = client.get(f"{api}/proofs/{path}", query)
        assert (refused.status_code, refused.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("inclusion", {}, "'index' must be given once"),
        ("inclusion", {"index": "0"}, "'size' must be given once"),
        ("inclusion", {"index": ["0", "1"], "size": "2"}, "'index' must be given once"),
        ("inclusion", {"index": "-1", "size": "2"}, "'index' must be given once, as a whole number"),
        ("inclusion", {"index": "٣", "size": "2"}, "'index' must be given once, as a whole number"),
        ("inclusion", {"index": "01", "size": "2"}, "'index' must be given once, as a whole number"),
        ("inclusion", {"index": "1" * 19, "size": "2"}, "'index' must be given once, as a whole number"),
        ("inclusion", {"index": "2", "size": "2"}, "'index' must be from 0 to 1"),
        ("inclusion", {"index": "0", "size": "0"}, "'size' must be from 1 to 2"),
        ("inclusion", {"index": "0", "size": "3"}, "'size' must be from 1 to 2"),
        ("inclusion", {"index": "0", "size": "2", "x": "1"}, "no parameter 'x'"),
        ("consistency", {"from": "0", "to": "2"}, "'from' must be from 1 to 'to', which is 2"),
        ("consistency", {"from": "2", "to": "1"}, "'from' must be from 1 to 'to', which is 1"),
        ("consistency", {"from": "1", "to": "3"}, "'to' must be from 1 to 2"),
        ("consistency", {"from": "1.0", "to": "2"}, "'from' must be given once, as a whole number"),
    ],
)
def test_bad_parameters_are_named(client: Client, path: str, query: dict[str, Any], message: str) -> None:
    write()
    sequence()
    answer = client.get(f"/audit/proof/{path}", query)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "audit_no_such_proof"
    assert message in answer.json()["error"]["message"]
    assert client.post(f"/audit/proof/{path}").status_code == 405


def test_the_list_shortens_the_actor_that_is_an_api_key(client: Client) -> None:
    user = User.objects.create_user("auditor@example.org", "correct horse battery", is_staff=True, is_superuser=True)
    enter_admin(client, user)
    key = "k" * 60 + "last"
    with transaction.atomic():
        write_record(actor=Actor(ActorKind.API_KEY, key), action="market.state", object="market:BTCUSDT")
    page = client.get("/admin/audit/record/").content.decode()
    assert f'title="api-key {key}">api-key kkkkkkkkkk…last</span>' in page
    pk = Record.objects.latest("id").pk
    assert f"api-key {key}" in client.get(f"/admin/audit/record/{pk}/change/").content.decode()


def test_staff_with_the_right_sees_entries_and_where_they_stand(client: Client) -> None:
    user = User.objects.create_user("auditor@example.org", "correct horse battery", is_staff=True)
    enter_admin(client, user)
    write(2, object="market:<script>")
    sequence()
    write(1, object="market:LATER")
    assert client.get("/admin/audit/record/").status_code == 403
    user.user_permissions.add(Permission.objects.get(codename="view_record"))
    page = client.get("/admin/audit/record/").content.decode()
    assert "market:LATER" in page
    assert "&lt;script&gt;" in page
    assert "<script>market" not in page
    record = Record.objects.filter(object="market:<script>").order_by("id").first()
    assert record is not None
    entry = Entry.objects.get(record=record)
    shown = client.get(f"/admin/audit/record/{record.pk}/change/").content.decode()
    assert f"entry {entry.index}, in the checkpoint of" in shown
    assert "ann@exchange.example" in shown
    assert "pending" in client.get(f"/admin/audit/record/{Record.objects.latest('id').pk}/change/").content.decode()
    for query, found in (
        ({"q": "market:LATER"}, 1), ({"q": "ann@exchange.example"}, 3), ({"q": str(entry.index)}, 1), ({"q": "ann"}, 0),
        ({"action": "market.state"}, 3), ({"action": "api-key.revoked"}, 0), ({"actor": "staff"}, 4),
        ({"place": "pending"}, 1), ({"last": "hour"}, Record.objects.count()),
    ):  # fmt: skip
        answer = client.get("/admin/audit/record/", query)
        assert answer.context["cl"].result_count == found, query
    for path in ("add/", f"{record.pk}/delete/"):
        assert client.get(f"/admin/audit/record/{path}").status_code == 403
    assert client.post(f"/admin/audit/record/{record.pk}/change/", {"reason": "x"}).status_code == 403
    assert json.loads(record.after or "") == {"state": "halted 0"}


def test_what_older_releases_recorded_is_known_and_not_recorded_any_more(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidEntry, match="knows no action 'admin\\.changed'"):
        write(action="admin.changed")
    with monkeypatch.context() as older:
        older.setitem(ACTIONS, "admin.changed", "")
        write(action="admin.changed")
    enter_admin(client, User.objects.create_superuser("auditor@example.org", "correct horse battery"))
    answer = client.get("/admin/audit/record/", {"action": "admin.changed"})
    (record,) = answer.context["cl"].queryset
    shown = client.get(f"/admin/audit/record/{record.pk}/change/").content.decode()
    assert "Staff changed a row in the admin." in shown
    assert "does not know" not in shown


@pytest.mark.parametrize("path", ["checkpoint", "key", "proof/inclusion", "proof/consistency"])
def test_who_asks_too_often_waits(
    path: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    settings.RATE_LIMIT_FACTOR = 1
    settings.REDIS_EDGE_URL = "unix:///nowhere/redis.sock"
    monkeypatch.setattr(buckets, "ALONE", buckets.Buckets(lambda: 0))
    monkeypatch.setattr(buckets, "PER_ADDRESS", Limit(burst=2, per_minute=1))
    mine, neighbour = Client(REMOTE_ADDR="2001:db8::1"), Client(REMOTE_ADDR="2001:db8::2")
    before = mine.get(f"/audit/{path}").status_code
    assert before in {404, 400}, "there is no entry, and no parameter"
    assert mine.get("/api/platform/v1/audit/checkpoint").status_code == 404, "they count together"
    with django_assert_num_queries(0):
        for client in (mine, neighbour):
            answer = client.get(f"/audit/{path}", headers={"X-Forwarded-For": "192.0.2.1"})
            assert (answer.status_code, answer["Retry-After"]) == (429, "60")
            assert answer.json()["error"]["code"] == "audit_too_many_requests"
    assert Client(REMOTE_ADDR="2001:db8:0:1::1").get(f"/audit/{path}").status_code == before
