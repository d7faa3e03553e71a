"""Back-tests that are there, their changes as a file, and which of them speak for a version."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Q

from inferhub.backtests.models import Backtest, BacktestState
from inferhub.errors import NotFound
from inferhub.lib.csv_cells import guarded

_MOST_NAMED = 10
_VERSIONS = {
    "alias.": "model_version_id",
    "workflow.": "workflow_version_id",
    "rule_set.": "rule_set_version_id",
}


def find_backtest(backtest_id: Any) -> Backtest:
    """Raises NotFound."""
    found = Backtest.objects.select_related("workflow").filter(pk=backtest_id).first()
    if found is None:
        raise NotFound(f"There is no back-test {backtest_id}.")
    return found


def evidence_for(
    *,
    workflow_version_id: int | None = None,
    rule_set_version_id: int | None = None,
    model_version_id: int | None = None,
) -> list[dict[str, Any]]:
    """The newest back-tests whose candidate was one of these versions, as an approval keeps them."""
    about = Q()
    if workflow_version_id is not None:
        about |= Q(options__candidate__workflow_version_id=workflow_version_id)
    if rule_set_version_id is not None:
        about |= Q(options__candidate__rule_set_version_id=rule_set_version_id)
    if model_version_id is not None:
        about |= Q(options__candidate__model_version_ids__contains=[model_version_id])
    finished = Backtest.objects.filter(about, state=BacktestState.SUCCEEDED).select_related("workflow").order_by("-id")
    return [evidence_of(backtest) for backtest in finished[:_MOST_NAMED]] if about else []


def speaks_for(kind: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Back-tests of the version that a change is about, as `backtests`; nothing where there is none."""
    about = next((name for prefix, name in _VERSIONS.items() if kind.startswith(prefix)), "")
    version_id = payload.get("version_id")
    found = evidence_for(**{about: version_id}) if about and isinstance(version_id, int) else []
    return {"backtests": found} if found else {}


def evidence_of(backtest: Backtest) -> dict[str, Any]:
    """What an approval keeps of a back-test: enough to find it and to see that it is the same one still."""
    report, candidate = backtest.report or {}, backtest.options["candidate"]
    return {
        "backtest": str(backtest.pk),
        "digest": backtest.digest,
        "workflow": backtest.workflow.name,
        "workflow_version": candidate["workflow_version"],
        "rule_set_version": candidate["rule_set_version"],
        "models": {name: model["version"] for name, model in candidate["models"].items()},
        "rows": report.get("rows", 0),
        "changed": report.get("changed", 0),
        "finished_at": backtest.finished_at.isoformat() if backtest.finished_at else None,
    }


def changes_csv(backtest: Backtest) -> Iterator[str]:
    """The kept rows as lines of CSV; a cell that a spreadsheet would run as a formula has an apostrophe before it."""
    yield _line(["row", "decision_id", "baseline", "candidate", "amount"])
    for change in backtest.changes.order_by("row").iterator():
        amount = "" if change.amount is None else repr(change.amount)
        outcomes = [guarded(change.baseline), guarded(change.candidate)]
        yield _line([str(change.row), str(change.decision_id or ""), *outcomes, amount])


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
