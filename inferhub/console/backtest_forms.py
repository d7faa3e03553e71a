"""The form that asks for a back-test of one workflow."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from django.utils import timezone

from inferhub.backtests.challengers import start_challenger
from inferhub.backtests.files import read_rows
from inferhub.backtests.question import Question, is_number
from inferhub.backtests.services import start_backtest
from inferhub.backtests.sides import Asked
from inferhub.console import fields, html
from inferhub.console.pages import Done, ServiceForm
from inferhub.decisions.models import Workflow
from inferhub.decisions.services import KIND as WORKFLOWS
from inferhub.registry.models import ModelVersion, VersionState
from inferhub.rulesets.lifecycle import describe_versions, likely_next
from inferhub.rulesets.models import RuleSet
from inferhub.rulesets.publishing import AuthoredKind
from inferhub.rulesets.services import KIND as RULE_SETS

_DAYS = 30
_MOST_VERSIONS = 50
_MODEL = "model_"


class CandidateForm(ServiceForm):
    """The versions of a candidate."""

    def __init__(self, *args: Any, workflow: Workflow, **options: Any) -> None:
        super().__init__(*args, **options)
        self._workflow = workflow
        number = likely_next(WORKFLOWS, workflow)
        start = None if number is None else workflow.versions.get(number=number)
        nothing: dict[str, Any] = {"input": {"properties": {}}, "predictions": [], "rule_set": ""}
        self._definition = start.definition if start else nothing
        self._add_versions(self._definition)

    def candidate(self) -> Asked:
        words = self.cleaned_data
        models = {name.removeprefix(_MODEL): words[name] for name in words if name.startswith(_MODEL)}
        return Asked(
            workflow_version=_number(words["workflow_version"]),
            rule_set_version=_number(words["rule_set_version"]),
            models={name: int(number) for name, number in models.items() if number},
        )

    def _add_versions(self, definition: dict[str, Any]) -> None:
        rule_set = RuleSet.objects.filter(name=definition["rule_set"]).first()
        self.fields["workflow_version"] = _versions("Workflow version", WORKFLOWS, self._workflow)
        self.fields["rule_set_version"] = _versions("Rule set version", RULE_SETS, rule_set)
        for step in definition["predictions"]:
            versions = ModelVersion.objects.filter(model__name=step["model"], state=VersionState.READY)
            self.fields[f"{_MODEL}{step['name']}"] = fields.choice(
                f"Model of {step['name']}",
                [("", "as it is recorded"), *_newest(versions)],
                required=False,
                help_text=f"Versions of {step['model']}. A version that is chosen runs again over every row.",
            )


class ChallengerForm(CandidateForm):
    """The candidate that is to decide beside the workflow."""

    def save(self, *, actor: str) -> Done:
        challenger = start_challenger(workflow=self._workflow.name, candidate=self.candidate(), actor=actor)
        return Done(message=f"The challenger of {self._workflow} runs.", url=html.url_of(challenger))


class BacktestForm(CandidateForm):
    """The candidate's versions, where the rows come from, and what the report tells apart."""

    since = fields.day("Decisions from", required=False, help_text="The first day, by UTC. Empty: all there are.")
    until = fields.day("To", required=False, help_text="The last day.")

    def __init__(self, *args: Any, workflow: Workflow, **options: Any) -> None:
        today = timezone.now().date()
        options["initial"] = {"since": today - timedelta(days=_DAYS), "until": today}
        super().__init__(*args, workflow=workflow, **options)
        self._add_columns(self._definition)
        self.fields["file"] = fields.rows_file(
            "Or a file of inputs", required=False, help_text="CSV or JSON lines, decided instead of the decisions."
        )

    def save(self, *, actor: str) -> Done:
        words, candidate = self.cleaned_data, self.candidate()
        version, file = candidate.workflow_version, words["file"]
        question = Question(
            workflow=self._workflow.name,
            candidate=candidate,
            since=_moment(words["since"]),
            until=_moment(words["until"], days=1),
            rows=read_rows(file.name, file.read(), workflow=self._workflow.name, version=version) if file else None,
            amount=words["amount"],
            segment=words["segment"],
        )
        backtest = start_backtest(question, actor=actor)
        return Done(message=f"The back-test of {self._workflow} is queued.", url=html.url_of(backtest))

    def _add_columns(self, definition: dict[str, Any]) -> None:
        properties = definition["input"]["properties"]
        numbers = [name for name, schema in properties.items() if is_number(schema)]
        others = [name for name in properties if name != definition.get("subject")]
        self.fields["amount"] = _optional("Money", numbers, "The input field whose sums are told by outcome.")
        self.fields["segment"] = _optional("Segments", others, "The input field by whose values rows are told apart.")


def _optional(label: str, names: list[str], help_text: str) -> Any:
    return fields.choice(label, [("", "none"), *((n, n) for n in names)], required=False, help_text=help_text)


def _versions(label: str, kind: AuthoredKind, owner: Any) -> Any:
    """The versions of a workflow or rule set with their states; the one that would come into force next is chosen."""
    if owner is None:
        return fields.choice(label, [])
    states = describe_versions(kind, owner)
    choices = [
        (
            str(version.number),
            f"version {version.number} ({states[version.pk].name}), {html.moment_text(version.created_at)}",
        )
        for version in owner.versions.order_by("-number")[:_MOST_VERSIONS]
    ]
    return fields.choice(label, choices, initial=str(likely_next(kind, owner)))


def _newest(versions: Any) -> Iterator[tuple[str, str]]:
    """Choices: a number, and the words for it."""
    for number, at in versions.order_by("-number").values_list("number", "created_at")[:_MOST_VERSIONS]:
        yield str(number), f"version {number}, {html.moment_text(at)}"


def _number(text: str) -> int | None:
    return int(text) if text else None


def _moment(day: date | None, *, days: int = 0) -> datetime | None:
    return None if day is None else timezone.make_aware(datetime.combine(day + timedelta(days=days), time.min))
