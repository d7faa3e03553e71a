"""inferhub backtest: what other versions would have decided."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from inferhub.backtests.files import read_rows
from inferhub.backtests.models import OPEN_STATES, Backtest, BacktestState
from inferhub.backtests.question import Question
from inferhub.backtests.services import start_backtest, work_on_backtest
from inferhub.backtests.sides import Asked
from inferhub.errors import InferhubError

_PATIENCE_SECONDS = 10.0
_WIDTH = 160


class Command(BaseCommand):
    help = "Hold other versions of a workflow, its rules or its models against what was decided, or against a file."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workflow")
        parser.add_argument("--since", type=_moment, help="a day or a time: 2026-01-31T12:00:00Z")
        parser.add_argument("--until", type=_moment, help="leave out what was decided at this time or later")
        parser.add_argument("--file", type=Path, help="CSV or JSON lines of inputs, instead of decisions")
        parser.add_argument("--workflow-version", type=int, help="by default the newest")
        parser.add_argument("--rule-set-version", type=int, help="by default the newest")
        parser.add_argument("--model", type=_model, action="append", default=[], metavar="PREDICTION=VERSION")
        parser.add_argument("--amount", default="", help="input field whose sums are told as money")
        parser.add_argument("--segment", default="", help="input field by whose values rows are told apart")
        parser.add_argument("--here", action="store_true", help="run it in this process, not on a worker")
        parser.add_argument("--actor", default="cli", help="who starts it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backtest = start_backtest(self._question(options), actor=f"cli:{options['actor']}")
        except (InferhubError, OSError) as exc:
            raise CommandError(str(exc)) from exc
        if options["here"]:
            work_on_backtest(backtest.pk)
        self._wait(backtest)
        if backtest.state != BacktestState.SUCCEEDED:
            raise CommandError(f"The back-test {backtest.pk} {backtest.state}: {backtest.problem or 'by a person'}")
        self._tell(backtest)

    def _question(self, options: dict[str, Any]) -> Question:
        name, version, file = options["workflow"], options["workflow_version"], options["file"]
        return Question(
            workflow=name,
            candidate=Asked(
                workflow_version=version, rule_set_version=options["rule_set_version"], models=dict(options["model"])
            ),
            since=options["since"],
            until=options["until"],
            rows=None if file is None else read_rows(file.name, file.read_bytes(), workflow=name, version=version),
            amount=options["amount"],
            segment=options["segment"],
        )

    def _wait(self, backtest: Backtest) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("rows", total=backtest.total)
            patience = time.monotonic() + _PATIENCE_SECONDS
            while True:
                backtest.refresh_from_db()
                progress.update(bar, completed=backtest.done)
                if backtest.state not in OPEN_STATES:
                    return
                if backtest.state == BacktestState.QUEUED and time.monotonic() > patience:
                    patience = math.inf
                    progress.console.print("No worker has begun yet: is `inferhub up` running? With --here, this does.")
                time.sleep(0.2)

    def _tell(self, backtest: Backtest) -> None:
        report, amount, segment = backtest.report or {}, backtest.options["amount"], backtest.options["segment"]
        out = Console(file=self.stdout, width=_WIDTH)  # type: ignore[arg-type]  # it has what a file has
        out.print(_outcome_table(report, amount))
        if segment:
            out.print(_segment_table(report, segment))
        self.stdout.write(f"back-test {backtest.pk}: {report['changed']:,} of {report['rows']:,} rows change")


def _outcome_table(report: Mapping[str, Any], amount: str) -> Table:
    """Rows and, with an `amount`, money by outcome."""
    table = _table("outcome", "before", "candidate", "difference", "p", title=f"{report['rows']:,} rows")
    for heading in (f"{amount} before", f"{amount} candidate", "difference") if amount else ():
        table.add_column(heading, justify="right")
    for entry in report["outcomes"]:
        before, after = entry["baseline"], entry["candidate"]
        share = f"{entry['share_difference']['value']:+.2%}"
        money = (before["amount"], after["amount"], entry["amount_difference"]["value"]) if amount else ()
        table.add_row(
            escape(entry["outcome"]),
            f"{before['rows']:,}",
            f"{after['rows']:,}",
            share,
            f"{entry['p_value']:.2g}",
            *(f"{value:{sign},.2f}" for value, sign in zip(money, ("", "", "+"), strict=False)),
        )
    return table


def _segment_table(report: Mapping[str, Any], segment: str) -> Table:
    """For each segment how many rows change, and how many each outcome gets before and by the candidate."""
    names = [entry["outcome"] for entry in report["outcomes"]]
    table = _table(segment, "rows", "change", "share", *map(escape, names), title=f"by {segment}")
    for entry in report["segments"]:
        moves = [(entry["baseline"].get(name, 0), entry["candidate"].get(name, 0)) for name in names]
        table.add_row(
            escape(entry["segment"]),
            f"{entry['rows']:,}",
            f"{entry['changed']:,}",
            f"{entry['changed'] / entry['rows']:.2%}",
            *(f"{before:,}" if before == after else f"{before:,} > {after:,}" for before, after in moves),
        )
    return table


def _table(first: str, *others: str, title: str) -> Table:
    table = Table(first, title=title)
    for heading in others:
        table.add_column(heading, justify="right")
    return table


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _model(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    return name, int(number)
