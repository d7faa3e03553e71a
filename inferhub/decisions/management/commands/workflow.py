"""inferhub workflow test: run the test cases of a workflow."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.decisions.testing import run_workflow_tests
from inferhub.errors import InferhubError
from inferhub.rulesets.management.testing import add_test_arguments, read_cases, report_lines


class Command(BaseCommand):
    help = "Run the test cases of a workflow: inferhub workflow test NAME."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        add_test_arguments(deeds.add_parser("test", help="run test cases; fails where one fails"), "workflow")

    def handle(self, *args: Any, **options: Any) -> None:
        cases = read_cases(options["file"])
        try:
            report = run_workflow_tests(workflow=options["name"], version=options["version"], cases=cases, actor="cli")
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        for line in report_lines(report):
            self.stdout.write(line)
        if not report.passed:
            raise CommandError(f"{len(report.failures)} of {len(report.results)} test cases failed.")
