"""What a kind of action is.

A kind is a class that an entry point of the group `inferhub.actions` names; Inferhub makes one object of it, without
arguments, and keeps it. Other packages add theirs in the same way:

    [project.entry-points."inferhub.actions"]
    print-label = "my_package.actions:PrintLabel"

A workflow version then says `{"kind": "print-label", ...}` under an outcome. An attempt can be repeated although it had
worked (its worker died before it could say so): by the same `action.pk`, so that a second one can do no harm.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from inferhub.errors import Conflict, FieldError, InvalidInput, NotFound
from inferhub.lib.describe import describe, pointer
from inferhub.lib.slug import SLUG_PATTERN

if TYPE_CHECKING:  # definitions are checked without a database
    from inferhub.decisions.models import Action, Decision

SLUG: dict[str, Any] = {"type": "string", "pattern": SLUG_PATTERN}
FIELD: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 200}


def settings_schema(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    """The JSON Schema of a kind's settings, `kind` and `ordered` aside."""
    return {
        "type": "object",
        "properties": {**required, **optional},
        "required": list(required),
        "additionalProperties": False,
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryResult:
    """How one attempt ended.

    `is_permanent` tells a failure that another attempt cannot cure; `is_postponed` that nothing was attempted;
    `is_own_fault` a failure that says nothing about the target: the same would have happened with any other.
    `retry_after` is for how long the target asked to be left alone.
    """

    is_success: bool
    is_permanent: bool = False
    is_postponed: bool = False
    is_own_fault: bool = False
    status_code: int | None = None
    detail: str = ""
    retry_after: timedelta | None = None


class ActionKind(ABC):
    """`name` is what a definition says under `kind`; `schema` describes all other settings but `ordered`.

    `input_fields` are the settings that name a field of the workflow's input, which must exist; `needs_subject` says
    that the workflow must tell whom or what its decisions are about.
    """

    name: ClassVar[str]
    schema: ClassVar[dict[str, Any]]
    input_fields: ClassVar[tuple[str, ...]] = ()
    needs_subject: ClassVar[bool] = False

    @abstractmethod
    def deliver(self, action: "Action") -> DeliveryResult:
        """Do it, within 30 seconds. `action.decision` and its workflow are loaded.

        Raises InferhubError, which counts as a failure, for good where it `is_permanent`.
        """

    def target(self, settings: Mapping[str, Any]) -> str:
        """The system outside that it is sent to, such as `webhook:shop`; empty where there is none.

        After several failures in a row nothing is sent there for a while (`inferhub.decisions.breakers`).
        """
        return ""

    def configured_targets(self) -> Sequence[str]:
        """Targets that the hub's configuration names; a person can see and try them before an action goes there."""
        return ()

    def lane(self, settings: Mapping[str, Any]) -> str:
        """What ordered actions of one subject queue up for."""
        return self.target(settings) or self.name

    def check_definition(self, settings: Mapping[str, Any], definition: Mapping[str, Any]) -> list[FieldError]:
        """What is wrong with settings that the schema lets pass, in view of the whole definition.

        Pointers start at the settings.
        """
        return []

    def try_target(self, name: str) -> DeliveryResult:
        """Send something harmless to the target `name` (what follows the colon), for a person who wants to know.

        Raises InferhubError.
        """
        raise NotFound(f"The kind of action '{self.name}' has no test message.")

    def check_references(self, settings: Mapping[str, Any]) -> list[FieldError]:
        """What settings name and is not there, when a definition is saved. Pointers start at the settings."""
        return []


def lock_decision(action: "Action") -> "Decision":
    """Read the action's decision as it is now and hold it until the transaction ends: an erasure comes before or after.

    For kinds that write what it holds into the hub's own tables. Raises Conflict where it was erased.
    """
    locked = type(action.decision).objects.select_for_update(of=("self",), no_key=True).select_related("workflow")
    action.decision = decision = locked.get(pk=action.decision_id)
    if decision.erased_at is not None:
        raise Conflict(f"The content of the decision {decision.pk} was erased.")
    return decision


def text_of_input(action: "Action", field: str) -> str:
    """The text or number that the input holds in `field`. Raises InvalidInput where it holds none."""
    value = action.decision.input.get(field)
    if isinstance(value, bool) or not isinstance(value, str | int | float) or value == "":
        expected = FieldError(pointer=pointer("input", field), expected="a text or a number", got=describe(value))
        raise InvalidInput(errors=[expected])
    return str(value)
