"""The one family of errors that Inferhub's own code raises.

No HTTP here: `inferhub.api.problems` maps each family to a status (RFC 9457). `is_permanent` tells a retry loop whether
trying again can help.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldError:
    """One thing wrong with one field.

    `pointer` is a JSON Pointer (RFC 6901) into what the caller sent, `""` for the whole of it; `expected` and `got` are
    short phrases ("a number", "the string 'abc'").
    """

    pointer: str
    expected: str
    got: str

    @property
    def sentence(self) -> str:
        return f"{self.pointer or 'body'}: expected {self.expected}, got {self.got}"


class InferhubError(Exception):
    """Something that Inferhub can explain to the person or system that asked."""

    is_permanent: ClassVar[bool] = True


class InvalidInput(InferhubError):
    """What came in does not have the form that was asked for; `errors` names each field."""

    def __init__(self, message: str = "", *, errors: Iterable[FieldError] = ()) -> None:
        self.errors = tuple(errors)
        super().__init__(message or "; ".join(error.sentence for error in self.errors))

    @property
    def without_values(self) -> str:
        """The message where it is kept for long: what came in may be a person's data, and is left out."""
        wanted = (f"{error.pointer or 'body'}: expected {error.expected}" for error in self.errors)
        return "; ".join(wanted) or str(self)


class Malformed(InvalidInput):
    """What came in is not even a text of the format that it should have."""


class InvalidDefinition(InvalidInput):
    """A workflow, rule set or other authored definition cannot be saved as it is."""


class InvalidModel(InvalidInput):
    """A file is not an ONNX model that may be registered here."""


class NotFound(InferhubError):
    """There is no such thing, or the caller may not know of it."""


class Conflict(InferhubError):
    """The present state does not allow it: already there, already settled, changed meanwhile."""


class ChangedMeanwhile(InferhubError):
    """What was to be changed is not as the caller saw it; nothing was done."""


class NotPermitted(InferhubError):
    """The caller is known but lacks the right."""


class TooLarge(InferhubError):
    """The input exceeds a limit; the message names the limit."""


class QuotaExceeded(InferhubError):
    """The caller has had what it may have for now; `retry_after_seconds` says when there is more."""

    is_permanent = False

    def __init__(self, message: str = "", *, retry_after_seconds: int = 60) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class ModelFailed(InferhubError):
    """The model could not produce a usable answer from a valid input."""


class Unavailable(InferhubError):
    """A part that is needed does not answer now; trying again later can help, `retry_after_seconds` says when."""

    is_permanent = False

    def __init__(self, message: str = "", *, retry_after_seconds: int = 1) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class TimedOut(InferhubError):
    """There was no answer within the time that the caller or the configuration allows."""

    is_permanent = False


def error_to_dict(error: InferhubError) -> dict[str, Any]:
    """A form that can be stored, and turned back by `error_from_dict`."""
    fields = getattr(error, "errors", ())
    family = next(name for name in (kind.__name__ for kind in type(error).__mro__) if name in _FAMILIES)
    return {"family": family, "message": str(error), "errors": [asdict(field) for field in fields]}


def error_from_dict(stored: dict[str, Any]) -> InferhubError:
    """The error again, of the same family."""
    family = _FAMILIES[stored["family"]]
    if issubclass(family, InvalidInput):
        return family(stored["message"], errors=[FieldError(**field) for field in stored["errors"]])
    return family(stored["message"])


_KINDS: list[type[InferhubError]] = [InferhubError, *InferhubError.__subclasses__(), *InvalidInput.__subclasses__()]
_FAMILIES = {kind.__name__: kind for kind in _KINDS}
