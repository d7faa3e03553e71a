"""inferhub recommend_all: compute the recommendations of every user, and show the progress."""

import math
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from inferhub.errors import InferhubError
from inferhub.jobs.bulk import run_job, start_bulk_job
from inferhub.jobs.models import Job, State

_PATIENCE_SECONDS = 10.0


class Command(BaseCommand):
    help = "Compute and publish the recommendations of every user of a scenario."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("scenario", help="for example home-page")
        parser.add_argument("--here", action="store_true", help="compute in this process too, not only on the workers")
        parser.add_argument("--actor", default="cli", help="who starts it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            job = start_bulk_job(scenario=options["scenario"], actor=f"cli:{options['actor']}")
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        if options["here"]:
            run_job(job.pk)
        job = self._wait(job)
        if job.state == State.FAILED:
            raise CommandError(f"Job {job.pk} failed: {job.problem}")
        self.stdout.write(f"job {job.pk}: recommendations of {job.total} users published")

    def _wait(self, job: Job) -> Job:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            bar = progress.add_task("users", total=job.total)
            patience = time.monotonic() + _PATIENCE_SECONDS
            while job.state in (State.QUEUED, State.RUNNING):
                time.sleep(0.2)
                if job.state == State.QUEUED and time.monotonic() > patience:
                    patience = math.inf
                    progress.console.print("No worker has begun yet: is `inferhub up` running? With --here, this does.")
                job.refresh_from_db()
                progress.update(bar, completed=job.done)
        return job
