"""What strangers with a key send is answered as their mistake: no file, number or address breaks the hub."""

import io
import re
from typing import Any
from urllib.parse import quote

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from openpyxl import load_workbook

from inferhub.api.urls import urlpatterns
from inferhub.rulesets.files import export_rules
from tests.hub_fixtures import RULES, Api

pytestmark = pytest.mark.django_db

HUGE = "9" * 5000


def upload(api: Api, path: str, data: bytes, **fields: str) -> Any:
    form = {"file": SimpleUploadedFile("file", data), **fields}
    headers = {"Authorization": f"Bearer {api.secret}"}
    return Client(raise_request_exception=False).post(f"/api/v1/{path}", form, headers=headers)


def workbook_with_note(text: str) -> bytes:
    book = load_workbook(io.BytesIO(export_rules(RULES, "xlsx")))
    for row in book.worksheets[0].iter_rows():
        for cell in row:
            if cell.value == "large":
                cell.value = text
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def jdm_nested(levels: int) -> bytes:
    deep = b"[" * levels + b"]" * levels
    return export_rules(RULES, "jdm").replace(b'"nodes": [', b'"nodes": [%b, ' % deep, 1)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("xlsx", workbook_with_note("_x0000_")),
        ("xlsx", workbook_with_note("a_xD800_")),
        ("csv", export_rules(RULES, "csv").replace(b"large", b"lar\x00ge")),
        ("jdm", export_rules(RULES, "jdm").replace(b"large", b"lar\\u0000ge")),
        ("jdm", jdm_nested(900)),
    ],
)
def test_a_rule_set_file_with_what_the_database_cannot_hold_is_refused(
    api: Api, workflow: str, kind: str, data: bytes
) -> None:
    answer = upload(api, "rule-sets/screening/file", data, format=kind)
    assert answer.status_code in (400, 422), answer.content
    assert api.get("rule-sets/screening").json()["version"] == 1


@pytest.mark.parametrize(
    "line",
    ["a\x00b,", "a,0001-01-01T00:00:00+23:59", "a,9999-12-31T23:59:59-23:59", "a,2026-01-01T00:00:00+00:00:01"],
)
def test_a_list_file_with_what_the_database_cannot_hold_is_refused(api: Api, line: str) -> None:
    assert api.put("lists/odd", {"description": ""}).status_code < 300
    data = f"value,expires_at\n{line}\n".encode()
    answer = upload(api, "lists/odd/file", data, mode="add", reason="test")
    assert answer.status_code in (200, 422), answer.content


@pytest.mark.parametrize(
    "path",
    [
        "decisions?page_size=0000000010000000",
        f"decisions?page_size={HUGE}",
        "rule-sets/screening/file?version=0000000000199999999999",
        f"rule-sets/screening/file?version={HUGE}",
        "lists/odd/file?version=000000000019",
        f"lists/odd/entries?version={HUGE}",
    ],
)
def test_a_number_is_judged_by_all_of_its_digits(api: Api, workflow: str, path: str) -> None:
    assert api.put("lists/odd", {"description": ""}).status_code < 300
    assert api.get(path).status_code == 422


ODD = ["..", "a/../b", "\x00", "ä", "a" * 5000, "9" * 30, HUGE, "-1", "%", "🛒", "'", "a\r\nX: y", "1e9"]


@pytest.mark.parametrize("value", [*ODD, b"\xed\xa0\x80", "00000000-0000-0000-0000-000000000000"])
def test_no_address_breaks_the_hub(api: Api, workflow: str, value: str | bytes) -> None:
    patterns = [str(entry.pattern) for entry in urlpatterns]
    addresses = [pattern.removeprefix("v1/") for pattern in patterns if pattern.startswith("v1/") and "<" in pattern]
    for pattern in addresses:
        address = re.sub(r"<[^>]*>", quote(value, safe=""), pattern)
        answers = [api.get(address), api.delete(address)]
        answers += [send(address, {"reason": "test"}) for send in (api.post, api.put, api.patch)]
        assert max(answer.status_code for answer in answers) < 500, address
