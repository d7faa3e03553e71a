"""Forms about registered models and their versions."""

from typing import Any

from inferhub.approvals.models import ChangeRequest
from inferhub.console import fields, html
from inferhub.console.pages import Done, ServiceForm
from inferhub.errors import InferhubError, InvalidModel, TooLarge
from inferhub.registry.lifecycle import archive_version, unarchive_version
from inferhub.registry.models import Approval, ModelVersion, RegisteredModel, Task
from inferhub.registry.policies import edit_model, set_policy
from inferhub.registry.queries import pending_move
from inferhub.registry.services import Provenance, register_version

MOVE = "registry.change_alias"
_APPROVAL_HELP = (
    "Four eyes: whoever moves an alias asks for it, and another person approves; a rollback stays possible at once. "
    "Direct: one person with the right to do so is enough, for models whose mistakes are cheap."
)


class NewVersionForm(ServiceForm):
    """The next version of a model that is registered already."""

    file = fields.ModelField(
        label="Model file",
        help_text="ONNX, or what LightGBM's save_model wrote. It is checked in a separate process first.",
    )
    golden = fields.golden_rows(
        "Golden rows",
        required=False,
        help_text="JSON or .npz: inputs with the outputs that the model must give. Checked now and before an alias "
        "moves.",
    )
    notes = fields.prose("Notes", required=False, help_text="What is new in this version.")
    metrics = fields.JsonField(
        label="Metrics", required=False, rows=4, help_text='How well it does, such as {"rmse": 12.5}. For the gates.'
    )
    certificate = fields.JsonField(
        label="Certificate", required=False, rows=4, help_text="The parity report of the export: certificate.json."
    )
    lineage = fields.JsonField(
        label="Lineage", required=False, rows=4, help_text="Where it comes from: data digest, code version, parameters."
    )
    steps = fields.JsonField(
        label="Steps", required=False, rows=4, help_text="Pre- and postprocess steps around the model."
    )
    model_card = fields.prose("Model card", required=False, rows=6, max_length=100_000, help_text="Markdown.")
    alias = fields.slug(
        "Alias",
        required=False,
        help_text="Is to point at the new version, at once or once another person approved it, as the model's policy "
        "says; requests use champion by default. Empty: none.",
    )

    def __init__(self, *args: Any, model: RegisteredModel | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._model = model

    def restrict_to(self, user: Any) -> None:
        """Whoever may not move aliases cannot do so by registering either."""
        if not user.has_perm(MOVE):
            del self.fields["alias"]

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        version = register_version(
            name=self._model.name if self._model else words["name"],
            task=self._model.task if self._model else words["task"],
            data=words["file"].read(),
            alias=words.get("alias", ""),
            description=words.get("description", ""),
            approval=words.get("approval", ""),
            provenance=Provenance(
                metrics=words["metrics"] or {},
                certificate=words["certificate"] or {},
                lineage=words["lineage"] or {},
                steps=words["steps"] or {},
                model_card=words["model_card"],
                notes=words["notes"],
            ),
            golden=words["golden"].read() if words["golden"] else b"",
            actor=actor,
        )
        change = pending_move(version)
        if change is None:
            return Done(message=f"{version} is registered.", url=html.url_of(version))
        message = f"{version} is registered. Its alias waits here for another person's approval."
        return Done(message=message, url=html.url_of(change))

    def add_service_error(self, error: InferhubError) -> None:
        if isinstance(error, InvalidModel | TooLarge):
            self.add_error("golden" if _is_about_golden_rows(error) else "file", str(error))
        else:
            super().add_service_error(error)


def _is_about_golden_rows(error: InferhubError) -> bool:
    return any(field.pointer.startswith("/golden") for field in getattr(error, "errors", ()))


class RegisterForm(NewVersionForm):
    """A model and its first version (or, where the name is known, its next)."""

    name = fields.slug("Name", help_text="For example order-value: lower-case letters, digits and hyphens.")
    task = fields.choice("Task", [("", "Choose one"), *Task.choices])
    description = fields.prose("Description", required=False, help_text="What the model is for.")
    approval = fields.choice(
        "How its aliases move",
        [("", "As it does already; four eyes for a new model"), *Approval.choices],
        required=False,
        help_text=_APPROVAL_HELP,
    )
    field_order = ("name", "task", "description", "file", "alias", "approval")


class EditModelForm(ServiceForm):
    """What a model says of itself."""

    description = fields.prose("Description", required=False)
    owner = fields.text("Owner", required=False, help_text="The person or team that answers for it.")
    tags = fields.text("Tags", required=False, max_length=1500, help_text="Names such as pricing, with spaces between.")

    def __init__(self, *args: Any, model: RegisteredModel, **options: Any) -> None:
        initial = {"description": model.description, "owner": model.owner, "tags": " ".join(model.tags)}
        super().__init__(*args, **{"initial": initial} | options)
        self._model = model

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        tags = words["tags"].replace(",", " ").split()
        edit_model(model=self._model, actor=actor, description=words["description"], owner=words["owner"], tags=tags)
        return Done(message=f"{self._model} is saved.", url=html.url_of(self._model))

    def _place(self, error: Any) -> tuple[str | None, str]:
        """A tag's own place in the list says nothing in a text field."""
        return ("tags", error.sentence) if error.pointer.startswith("/tags") else super()._place(error)


class PolicyForm(ServiceForm):
    """How a model's aliases move."""

    fallback = "gates"
    approval = fields.choice("How its aliases move", Approval.choices, help_text=_APPROVAL_HELP)
    gates = fields.JsonField(
        label="Gates",
        required=False,
        rows=8,
        help_text="What a version must show before an alias points at it; all of it is optional: "
        '{"certificate": true, "golden": true, "max_latency_ms": 5, "max_memory_bytes": 100000000, '
        '"metrics": [{"name": "rmse", "better": "lower", "tolerance": 0.01}], "on_failure": "refuse" or "warn"}.',
    )
    reason = fields.prose("Reason", help_text="Kept in the audit log.")

    def __init__(self, *args: Any, model: RegisteredModel, **options: Any) -> None:
        initial = {"approval": model.approval, "gates": model.gates}
        super().__init__(*args, **{"initial": initial} | options)
        self._model = model

    def save(self, *, actor: str) -> Done:
        words = self.cleaned_data
        outcome = set_policy(
            model=self._model,
            approval=words["approval"],
            gates=words["gates"] or {},
            reason=words["reason"],
            actor=actor,
        )
        return done_or_waiting(outcome, f"The policy of {self._model} is saved.")


class ArchiveForm(ServiceForm):
    """Put a version away, or take it out again."""

    reason = fields.prose("Reason", help_text="Shown with the version, and kept in the audit log.")

    def __init__(self, *args: Any, version: ModelVersion, **options: Any) -> None:
        super().__init__(*args, **options)
        self._version = version

    def save(self, *, actor: str) -> Done:
        version = archive_version(version=self._version, actor=actor, reason=self.cleaned_data["reason"])
        return Done(message=f"{version} is archived.", url=html.url_of(version))


class UnarchiveForm(ArchiveForm):
    def save(self, *, actor: str) -> Done:
        version = unarchive_version(version=self._version, actor=actor, reason=self.cleaned_data["reason"])
        return Done(message=f"{version} is ready again.", url=html.url_of(version))


def done_or_waiting(outcome: Any, message: str) -> Done:
    """Where a wish led: to what it changed, or to the change request that waits."""
    if isinstance(outcome, ChangeRequest):
        return Done(message="It waits for another person's approval.", url=html.url_of(outcome))
    return Done(message=message, url=html.url_of(outcome))
