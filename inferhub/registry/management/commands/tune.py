"""inferhub tune: measure which threads, optimisation and batch suit a model on this machine, and keep the best."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import track
from rich.table import Table

from inferhub.errors import InferhubError, ModelFailed
from inferhub.registry.models import CHAMPION, ModelVersion
from inferhub.registry.queries import find_version
from inferhub.registry.storage import read_artifact
from inferhub.registry.tuning import save_tuning
from inferhub.runtime.golden_file import read_golden
from inferhub.runtime.pool import artifact_digest
from inferhub.runtime.signature import Signature
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
            version = ModelVersion.objects.select_related("model").get(model__name=plan.model, number=plan.number)
            result = choose(_measured(version, plan.signature))
            if not options["dry_run"]:
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


def _measured(version: ModelVersion, signature: Signature) -> list[Measurement]:
    """On the version's golden rows where it has some, since made-up values may take other ways through a model."""
    data = read_artifact(version.digest)
    if artifact_digest(data) != version.digest:
        raise ModelFailed(f"The stored artifact of {version} is not the one that was registered.")
    golden = read_golden(version.golden, signature).inputs if version.golden else None
    console = Console(stderr=True)
    tried = track(plan_settings(), "measuring", console=console)
    return [one for settings in tried for one in measure(data, settings, golden)]


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
