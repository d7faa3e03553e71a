"""Lists over REST, in the console and on the command line."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from inferhub.accounts.models import Scope, User
from inferhub.accounts.services import create_api_key
from inferhub.lists.models import ListEntry, LookupList
from inferhub.lists.queries import find_list
from inferhub.lists.services import Entry, add_entries, save_list
from tests.console.pages import list_of, page_of, post, text_of
from tests.hub_fixtures import ACTOR, Api

pytestmark = pytest.mark.django_db


@pytest.fixture
def blocked() -> LookupList:
    save_list(name="blocked", description="Not served.", actor=ACTOR)
    add_entries(name="blocked", entries=[Entry(value="ann", note="fraud"), Entry(value="=1+1")], actor=ACTOR)
    return LookupList.objects.get()


@pytest.fixture
def console(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("alice"))
    return client


def upload(api: Api, name: str, text: str, **words: str) -> Any:
    file = SimpleUploadedFile("x.csv", text.encode())
    headers = {"Authorization": f"Bearer {api.secret}"}
    return Client().post(f"/api/v1/lists/{name}/file", {"file": file, **words}, headers=headers)


def test_a_list_is_made_changed_and_read_over_rest(api: Api) -> None:
    assert api.put("lists/blocked", {"description": "Not served."}).json()["version"] == 0
    body = {"add": [{"value": "ann", "note": "fraud", "expires_at": "2099-01-01T00:00:00Z"}, {"value": "ben"}]}
    assert api.patch("lists/blocked/entries", body).json() == {"version": 1, "added": 2, "removed": 0}
    change = api.patch("lists/blocked/entries", {"remove": ["ben"], "reason": "a mistake"}).json()
    assert change == {"version": 2, "added": 0, "removed": 1}
    assert [entry["value"] for entry in api.get("lists/blocked/entries").json()["results"]] == ["ann"]
    past = api.get("lists/blocked/entries?version=1&prefix=b").json()["results"]
    assert [(entry["value"], entry["removed_in"]) for entry in past] == [("ben", 2)]
    versions = api.get("lists/blocked/versions").json()["results"]
    assert [(version["version"], version["reason"]) for version in versions] == [(2, "a mistake"), (1, "")]
    assert [found["entries"] for found in api.get("lists").json()["results"]] == [1]


@pytest.mark.parametrize(
    ("query", "status"),
    [("version=2", 422), ("version=x", 422), ("colour=red", 422), ("version=1", 200), ("value=ann", 200)],
)
def test_a_version_that_is_not_there_is_refused(api: Api, blocked: LookupList, query: str, status: int) -> None:
    assert api.get(f"lists/blocked/entries?{query}").status_code == status


def test_an_entry_that_cannot_be_kept_is_named(api: Api, blocked: LookupList) -> None:
    for value, expires_at in (("a\tb", None), ("a", "tomorrow"), ("a", "2099-01-01T00:00:00")):
        answer = api.patch("lists/blocked/entries", {"add": [{"value": value, "expires_at": expires_at}]})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"].startswith("/add/0")
    assert api.patch("lists/other/entries", {"add": [{"value": "a"}]}).status_code == 404


def test_a_key_that_may_only_read_cannot_edit(blocked: LookupList) -> None:
    reader = Api(create_api_key(name="reader", scopes=[Scope.READ], actor=ACTOR)[1])
    assert reader.get("lists/blocked/entries").status_code == 200
    assert reader.put("lists/blocked", {}).status_code == 403
    assert reader.patch("lists/blocked/entries", {"add": [{"value": "x"}]}).status_code == 403
    assert upload(reader, "blocked", "value\nx\n", mode="add").status_code == 403
    editor = Api(create_api_key(name="editor", scopes=[Scope.EDIT_LISTS], actor=ACTOR)[1])
    assert editor.patch("lists/blocked/entries", {"add": [{"value": "x"}]}).status_code == 200
    assert editor.get("lists/blocked/entries").status_code == 403


def test_a_file_is_taken_out_and_brought_in_over_rest(api: Api, blocked: LookupList) -> None:
    answer = api.get("lists/blocked/file")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.content.decode() == "value,note,expires_at\r\n'=1+1,,\r\nann,fraud,\r\n"
    assert upload(api, "blocked", "value\nben\n", mode="add").json() == {"version": 2, "added": 1, "removed": 0}
    assert upload(api, "blocked", answer.content.decode(), mode="replace").json()["removed"] == 1
    assert set(find_list("blocked").expiries) == {"ann", "=1+1"}


@pytest.mark.parametrize(
    ("text", "words", "where"),
    [
        ("value\nx\n", {}, "/mode"),
        ("value\nx\n", {"mode": "add", "colour": "red"}, "/colour"),
        ("value\n\x07\n", {"mode": "add"}, "/add/0/value"),
        ("name\n", {"mode": "add"}, "/1"),
    ],
)
def test_a_bad_upload_is_refused(api: Api, blocked: LookupList, text: str, words: dict[str, str], where: str) -> None:
    answer = upload(api, "blocked", text, **words)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, where)


def test_the_console_searches_edits_and_exports_a_list(console: Client, blocked: LookupList) -> None:
    text = text_of(console.get(page_of(blocked)))
    assert "fraud" in text
    assert "version 1" in text
    assert "Nothing changed" in text_of(post(console, page_of(blocked, "add_values"), values="ann", note="fraud"))
    values = {
        "values": " ben \r\n\r\ncid\r\n",
        "reason": "a tip",
        "expires_at_0": "2020-01-01",
        "expires_at_1": "00:00",
    }
    assert "2 added, 0 removed: version 2" in text_of(post(console, page_of(blocked, "add_values"), **values))
    assert "expired" in text_of(console.get(page_of(blocked)))
    post(console, page_of(blocked, "remove_values"), values="cid")
    found = text_of(console.get(list_of(ListEntry), {"q": "be", "state": "present"}))
    assert "ben" in found
    assert "fraud" not in found
    file = b"".join(console.get(page_of(blocked, "export")).streaming_content)
    assert file.decode().splitlines()[1] == "'=1+1,,"
    bad = SimpleUploadedFile("x.csv", b"value,expires_at\nx,soon\n")
    assert "such as 2026-12-01" in text_of(post(console, page_of(blocked, "bring_in"), file=bad))
    add_entries(name="blocked", entries=[Entry(value="dora")], actor=ACTOR)
    good = SimpleUploadedFile("x.csv", file)
    assert "0 added, 1 removed" in text_of(post(console, page_of(blocked, "bring_in"), file=good, replaces_all="on"))


def test_the_command_line_edits_a_list(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("lookup_list", *arguments, stdout=out)
        return out.getvalue()

    assert run("create", "vip", "--description", "Good customers") == "vip is there\n"
    assert run("add", "vip", "ann", "ben") == "version 1: 2 added, 0 removed\n"
    assert run("remove", "vip", "ann", "--reason", "left") == "version 2: 0 added, 1 removed\n"
    run("export", "vip", str(tmp_path / "vip.csv"))
    assert run("export", "vip", "--list-version", "1").count("\r\n") == 3
    assert run("import", "vip", str(tmp_path / "vip.csv")) == "version 2: 0 added, 0 removed\n"
    with pytest.raises(CommandError, match="no list 'other'"):
        run("add", "other", "x")
    with pytest.raises(CommandError, match="No such file"):
        run("import", "vip", str(tmp_path / "none.csv"))
