"""inferhub tune: measure which threads, optimisation and batch suit a model on this machine, and keep the best."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import track
from rich.table import Table

from inferhub.errors import InferhubError, ModelFailed
from inferhub.registry.models import ModelVersion
from inferhub.registry.queries import VersionPlan, find_version
from inferhub.registry.services import CHAMPION
from inferhub.registry.storage import read_artifact
from inferhub.registry.tuning import save_tuning
from inferhub.runtime.pool import artifact_digest
from inferhub.runtime.tuning import Measurement, TuningResult, choose, measure, plan_settings


class Command(BaseCommand):
    help = "Measure which threads, optimisation and batch suit a model on this machine, and keep the best."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("model", help="for example order-value")
        parser.add_argument("--alias", default=CHAMPION, help="which version")
        parser.add_argument("--version-number", type=int, help="a fixed version instead")
        parser.add_argument("--dry-run", action="store_true", help="only show the table")
        parser.add_argument("--actor", default="cli", help="who measures, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            plan = find_version(options["model"], alias=options["alias"], number=options["version_number"])
            result = choose(_measured(plan))
            if not options["dry_run"]:
                version = ModelVersion.objects.select_related("model").get(model__name=plan.model, number=plan.number)
                save_tuning(version=version, result=result, actor=f"cli:{options['actor']}")
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        console = Console(width=100)
        with console.capture() as table:
            console.print(_table(f"{plan.model} version {plan.number}", result))
        self.stdout.write(table.get())
        kept = "not kept" if options["dry_run"] else "kept; sessions loaded from now on are made so"
        best = result.best
        self.stdout.write(
            f"Best: threads {best.threads}, optimisation {best.optimisation}, batch {best.batch} ({kept})."
        )


def _measured(plan: VersionPlan) -> list[Measurement]:
    data = read_artifact(plan.digest)
    if artifact_digest(data) != plan.digest:
        raise ModelFailed(f"The stored artifact of {plan.model} version {plan.number} is not the one registered.")
    console = Console(stderr=True)
    return [one for settings in track(plan_settings(), "measuring", console=console) for one in measure(data, settings)]


def _table(title: str, result: TuningResult) -> Table:
    """One line for each thread count and optimisation: the time of the smallest batch, and the best rate."""
    table = Table("threads", "optimisation", "one run", "most rows/s", "at batch", title=title)
    groups: dict[tuple[int, str], list[Measurement]] = {}
    for one in result.measurements:
        groups.setdefault((one.threads, one.optimisation), []).append(one)
    for (threads, optimisation), some in groups.items():
        most = max(some, key=lambda one: one.rows_per_second)
        is_best = (threads, optimisation) == (result.best.threads, result.best.optimisation)
        cells = (
            f"{threads}",
            optimisation,
            f"{some[0].run_us:.1f} us",
            f"{most.rows_per_second:,.0f}",
            f"{most.batch}",
        )
        table.add_row(*cells, style="bold" if is_best else "")
    return table
