"""inferhub replay: decide again what was decided, and compare."""

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from inferhub.decisions.replay import decisions_of_period, replay_period
from inferhub.decisions.rerun import Replayed
from inferhub.errors import InferhubError

_MOST_TOLD = 20


class Command(BaseCommand):
    help = "Decide again from the stored inputs by the versions that each decision names, and compare bit for bit."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", required=True, type=moment, help="a day or a time: 2026-01-31T12:00:00Z")
        parser.add_argument("--until", type=moment, help="leave out what was decided at this time or later")
        parser.add_argument("--workflow", default="", help="only decisions of this workflow")
        parser.add_argument("--actor", default="cli", help="who asks for it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        period = {name: options[name] for name in ("since", "until", "workflow")}
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        told: list[Replayed] = []
        try:
            with Progress(*columns, console=Console(stderr=True)) as shown:
                bar = shown.add_task("decisions", total=decisions_of_period(**period).filter(erased_at=None).count())
                count = replay_period(
                    **period,
                    actor=f"cli:{options['actor']}",
                    tell=told.append,
                    progress=lambda done: shown.update(bar, completed=done),
                )
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        for found in told[:_MOST_TOLD]:
            self._tell(found)
        if len(told) > _MOST_TOLD:
            self.stdout.write(f"... and {len(told) - _MOST_TOLD} more")
        sentence = f"{count.replayed} decisions replayed: {count.equal} equal, {count.different} different, "
        sentence += f"{count.impossible} could not be replayed"
        if count.failures_taken:
            sentence += f"; {count.failures_taken} with a failed prediction, taken as it is recorded"
        if count.erased:
            sentence += f"; {count.erased} erased ones left out"
        if count.mismatches:
            raise CommandError(sentence)
        self.stdout.write(sentence)

    def _tell(self, found: Replayed) -> None:
        self.stdout.write(f"decision {found.decision_id}: {found.problem or 'different'}")
        for difference in found.differences:
            stored, replayed = difference.stored, difference.replayed
            self.stdout.write(f"  {difference.pointer}: stored {stored!r}, replayed {replayed!r}")


def moment(text: str) -> datetime:
    """A day or a time; without a zone it is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
