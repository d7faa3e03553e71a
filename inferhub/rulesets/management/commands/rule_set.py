"""inferhub rule-set test: run the test cases of a rule set."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.errors import InferhubError
from inferhub.rulesets.management.testing import add_test_arguments, read_cases, report_lines
from inferhub.rulesets.testing import run_rule_set_tests


class Command(BaseCommand):
    help = "Run the test cases of a rule set: inferhub rule-set test NAME."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        add_test_arguments(deeds.add_parser("test", help="run test cases; fails where one fails"), "rule set")

    def handle(self, *args: Any, **options: Any) -> None:
        cases = read_cases(options["file"])
        try:
            report = run_rule_set_tests(rule_set=options["name"], version=options["version"], cases=cases, actor="cli")
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        for line in report_lines(report):
            self.stdout.write(line)
        if not report.passed:
            raise CommandError(f"{len(report.failures)} of {len(report.results)} test cases failed.")
