"""Artifacts in an S3-compatible store; needs the extra `s3`, and is imported only where a setting asks for it."""

from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from storages.backends.s3 import S3Storage

# Checksums in headers and trailers are newer than many compatible stores; the digest is checked on every load anyway.
_CLIENT = Config(
    signature_version="s3v4",
    s3={"addressing_style": "path"},
    connect_timeout=3,
    read_timeout=30,
    retries={"max_attempts": 2},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class S3ArtifactStorage(S3Storage):  # type: ignore[misc]  # the library has no types
    """An object appears whole or not at all, which is what S3 promises; the same name is written over."""

    errors = (OSError, BotoCoreError, ClientError)

    def __init__(self, **options: Any) -> None:
        super().__init__(client_config=_CLIENT, file_overwrite=True, default_acl=None, **options)
