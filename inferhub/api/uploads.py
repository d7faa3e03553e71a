"""Files that come as a multipart form, with a few texts beside them."""

from collections.abc import Sequence
from typing import Any

from rest_framework.request import Request

from inferhub.errors import FieldError, InvalidInput, TooLarge
from inferhub.lib.describe import listed
from inferhub.lib.digits import read_digits

_BESIDE = 1 << 20  # what a form may hold beside the file


def uploaded_file(request: Request, *, fields: Sequence[str], most_bytes: int) -> tuple[bytes, dict[str, str]]:
    """The form's `file` and its texts, each of which is one of `fields`. Raises InvalidInput and TooLarge."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if (read_digits(length) or 0) > most_bytes + _BESIDE:  # before any of it is read
        raise TooLarge(f"The upload has {length} bytes; at most {most_bytes} are accepted.")
    form: Any = request.data
    known = ("file", *fields)
    errors = [
        FieldError(pointer=f"/{name}", expected=f"one of {listed(known)}", got="it")
        for name in form
        if name not in known
    ]
    texts = {name: form[name] for name in fields if name in form}
    errors += [
        FieldError(pointer=f"/{name}", expected="a text", got="something else")
        for name, value in texts.items()
        if not isinstance(value, str) or "\x00" in value
    ]
    file = request.FILES.get("file")
    if file is None:
        errors.append(FieldError(pointer="/file", expected="a file", got="nothing"))
    if errors or file is None:
        raise InvalidInput(errors=errors)
    if file.size > most_bytes:
        raise TooLarge(f"The file has {file.size} bytes; at most {most_bytes} are accepted.")
    return file.read(), texts


def uploaded_text(request: Request, *, fields: Sequence[str], most_bytes: int) -> tuple[str, dict[str, str]]:
    """The same of a file that is text in UTF-8."""
    data, texts = uploaded_file(request, fields=fields, most_bytes=most_bytes)
    try:
        return data.decode(), texts
    except UnicodeDecodeError as exc:
        got = f"byte {exc.start + 1} that is none"
        raise InvalidInput(errors=[FieldError(pointer="/file", expected="text in UTF-8", got=got)]) from exc
