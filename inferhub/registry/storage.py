"""Where artifacts lie: content-addressed files, written whole or not at all, hashed again on every load."""

import os
import tempfile
from pathlib import Path
from typing import Any

import structlog
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.db import transaction

from inferhub.audit.services import record_event
from inferhub.errors import Unavailable
from inferhub.runtime.pool import ArtifactChanged, artifact_digest

log = structlog.get_logger(__name__)


class ArtifactStorage(FileSystemStorage):
    """Files that appear in one step: a crash or a full disk leaves no half of one under the final name.

    `errors` is what the storage raises where it cannot do its work; other storages have others.
    """

    errors: tuple[type[Exception], ...] = (OSError,)

    def get_available_name(self, name: str, max_length: int | None = None) -> str:
        """The same name: content-addressed bytes replace only themselves, whole or damaged."""
        return name

    def _save(self, name: str, content: File) -> str:  # type: ignore[type-arg]
        target = Path(self.path(name))
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=target.parent, prefix=".draft-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                for chunk in content.chunks():
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).replace(target)
            _sync_folder(target.parent)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        return name


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def artifact_storage() -> Any:
    """The configured storage: an `ArtifactStorage`, or another of Django's storages with `errors`."""
    return storages["artifacts"]


def write_artifact(digest: str, data: bytes) -> None:
    """Keep `data` under `digest`. Writing the same again is harmless, and heals a file that was damaged."""
    storage, name = artifact_storage(), _name_of(digest)
    try:
        if storage.exists(name):
            with storage.open(name) as file:
                if file.read() == data:
                    return
        storage.save(name, ContentFile(data))
    except storage.errors as exc:
        raise Unavailable(f"The artifact could not be stored: {_reason(exc)}.") from exc


def read_artifact(digest: str) -> bytes:
    """The bytes kept under `digest`. A file that was changed is refused, logged and audited.

    Raises Unavailable where it cannot be read, ArtifactChanged where its bytes hash to something else.
    """
    storage = artifact_storage()
    try:
        with storage.open(_name_of(digest)) as file:
            data: bytes = file.read()
    except storage.errors as exc:
        raise Unavailable(f"The artifact {digest[:12]} could not be read: {_reason(exc)}.") from exc
    actual = artifact_digest(data)
    if actual != digest:
        _alarm(digest, actual)
        raise ArtifactChanged(f"Artifact {digest} was changed: its bytes now hash to {actual}.")
    _alarmed.discard(digest)
    return data


def _alarm(digest: str, actual: str) -> None:
    """Once for each process and change: requests that need the model go on asking for it."""
    if digest in _alarmed:
        return
    log.error("artifact changed", action="artifact.changed", digest=digest, actual=actual)
    with transaction.atomic():
        record_event("artifact.changed", actor="system", subject=f"artifact:{digest}", details={"actual": actual})
    _alarmed.add(digest)


def _reason(exc: Exception) -> str:
    return getattr(exc, "strerror", None) or str(exc)


def _name_of(digest: str) -> str:
    return f"{digest[:2]}/{digest}.onnx"


_alarmed: set[str] = set()
