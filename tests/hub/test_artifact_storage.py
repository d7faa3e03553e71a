"""Artifacts in a folder and in a store that speaks S3: found again, refused and audited where they were changed."""

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.files.storage import storages

from inferhub.audit.models import AuditEvent
from inferhub.errors import Unavailable
from inferhub.inference.services import predict
from inferhub.lib.config import BadSetting, read_config
from inferhub.registry import storage
from inferhub.registry.s3 import S3ArtifactStorage
from inferhub.registry.storage import artifact_storage, read_artifact, write_artifact
from inferhub.runtime.pool import ArtifactChanged
from tests.hub_fixtures import register_direct
from tests.models import linear_model

pytestmark = pytest.mark.django_db

DATA = b"the bytes of a model"
DIGEST = hashlib.sha256(DATA).hexdigest()
NAME = f"{DIGEST[:2]}/{DIGEST}.onnx"


class Store(ThreadingHTTPServer):
    """A server that keeps objects by path and knows as much of S3 as is used here."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), StoreHandler)
        self.objects: dict[str, bytes] = {}
        self.is_down = False


class StoreHandler(BaseHTTPRequestHandler):
    server: Store
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.server.objects[self._path()] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200)

    def do_GET(self) -> None:
        found = self.server.objects.get(self._path())
        if self.server.is_down or found is None:
            self._answer(503 if self.server.is_down else 404)
        else:
            self._answer(200, found)

    def do_HEAD(self) -> None:
        self.do_GET()

    def _path(self) -> str:
        return urlsplit(self.path).path

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.md5(body).hexdigest()}"')
        self.send_header("Last-Modified", "Tue, 06 Jan 2026 10:00:00 GMT")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test says what went wrong."""


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The configured storage is a bucket of a store for the length of a test."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with Store() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        bucket = S3ArtifactStorage(
            bucket_name="models",
            location="hub",
            endpoint_url=f"http://127.0.0.1:{server.server_address[1]}",
            region_name="eu-central-1",
        )
        monkeypatch.setitem(storages._storages, "artifacts", bucket)
        yield server
        server.shutdown()


@pytest.fixture(params=["folder", "store"])
def kept(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each kind of storage, with DATA in it; call it with other bytes to damage what is kept."""
    server = request.getfixturevalue("store") if request.param == "store" else None
    write_artifact(DIGEST, DATA)

    def damage(data: bytes) -> None:
        if server:
            server.objects[f"/models/hub/{NAME}"] = data
        else:
            Path(artifact_storage().path(NAME)).write_bytes(data)

    yield damage
    storage._alarmed.clear()


def test_what_is_written_is_read_again(kept: Any) -> None:
    assert read_artifact(DIGEST) == DATA


def test_what_was_changed_is_refused_and_audited_once(kept: Any) -> None:
    kept(b"other bytes")
    for _ in range(3):
        with pytest.raises(ArtifactChanged, match="was changed"):
            read_artifact(DIGEST)
    event = AuditEvent.objects.get(action="artifact.changed")
    assert (event.actor, event.subject) == ("system", f"artifact:{DIGEST}")
    assert event.details == {"actual": hashlib.sha256(b"other bytes").hexdigest()}


def test_what_was_changed_is_healed_by_writing_it_again_and_alarms_anew(kept: Any) -> None:
    for _ in range(2):
        kept(b"half")
        with pytest.raises(ArtifactChanged):
            read_artifact(DIGEST)
        write_artifact(DIGEST, DATA)
        assert read_artifact(DIGEST) == DATA
    assert AuditEvent.objects.filter(action="artifact.changed").count() == 2


def test_what_is_missing_is_unavailable(kept: Any) -> None:
    with pytest.raises(Unavailable, match="could not be read"):
        read_artifact("ab" * 32)


def test_a_store_that_fails_is_unavailable(store: Store) -> None:
    store.is_down = True
    with pytest.raises(Unavailable, match="could not be read"):
        read_artifact(DIGEST)
    with pytest.raises(Unavailable, match="could not be stored"):
        write_artifact(DIGEST, DATA)


def test_a_model_is_registered_in_a_store_and_served_from_it(store: Store) -> None:
    version = register_direct(name="own", task="regression", data=linear_model(7.25), alias="champion")
    assert list(store.objects) == [f"/models/hub/{version.digest[:2]}/{version.digest}.onnx"]
    assert predict(model="own", rows=[{"price": 4}]).rows == [{"value": 30.0}]


def test_the_setting_names_bucket_prefix_address_and_region(tmp_path: Path) -> None:
    text = "s3://models/hub/a?endpoint_url=http://store:9000&region_name=eu-central-1"
    store = read_config({"INFERHUB_HOME": str(tmp_path), "INFERHUB_ARTIFACT_STORAGE": text}).artifact_store
    assert store is not None
    assert (store.bucket_name, store.location) == ("models", "hub/a")
    assert (store.endpoint_url, store.region_name) == ("http://store:9000", "eu-central-1")


@pytest.mark.parametrize(
    "text", ["models", "https://models", "s3://", "s3://key:secret@models", "s3://models?acl=public", "s3://models#x"]
)
def test_another_text_stops_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(BadSetting, match="s3://BUCKET/PREFIX"):
        read_config({"INFERHUB_HOME": str(tmp_path), "INFERHUB_ARTIFACT_STORAGE": text})
