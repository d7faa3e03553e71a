"""Where artifacts lie: content-addressed files, written whole or not at all."""

import os
import tempfile
from pathlib import Path

from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, Storage, storages

from inferhub.errors import Unavailable


class ArtifactStorage(FileSystemStorage):
    """Files that appear in one step: a crash or a full disk leaves no half of one under the final name."""

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


def artifact_storage() -> Storage:
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
    except OSError as exc:
        raise Unavailable(f"The artifact could not be stored: {exc.strerror or exc}.") from exc


def read_artifact(digest: str) -> bytes:
    """The bytes kept under `digest`, unchecked: the session pool re-hashes them. Raises Unavailable."""
    try:
        with artifact_storage().open(_name_of(digest)) as file:
            data: bytes = file.read()
            return data
    except OSError as exc:
        raise Unavailable(f"The artifact {digest[:12]} could not be read: {exc.strerror or exc}.") from exc


def _name_of(digest: str) -> str:
    return f"{digest[:2]}/{digest}.onnx"
