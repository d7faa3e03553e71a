"""inferhub demo: the whole job on one machine, on a generated shop or on a file of purchases."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.demo.run import Demo, run_demo
from inferhub.errors import InferhubError


class Command(BaseCommand):
    help = "Train, register, decide and recommend on a generated shop; stays up until Ctrl-C."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", type=Path, help="a CSV or CSV.gz file in the form of UCI Online Retail instead")
        parser.add_argument("--check", action="store_true", help="do the job, verify every answer, and stop")
        parser.add_argument("--json", type=Path, help="with --check: write the summary to this file")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["json"] and not options["check"]:
            raise CommandError("--json goes with --check.")
        demo = Demo(config=settings.CONFIG, data=options["data"], is_check=options["check"], summary=options["json"])
        try:
            is_good = run_demo(demo, report=self._say)
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        if not is_good:
            raise CommandError("The check failed; the lines above say where.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
