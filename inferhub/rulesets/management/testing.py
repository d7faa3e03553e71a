"""What `inferhub workflow test` and `inferhub rule-set test` have in common."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from django.core.management.base import CommandError, CommandParser

from inferhub.rulesets.cases import CaseReport


def add_test_arguments(parser: CommandParser, what: str) -> None:
    parser.add_argument("name", help=f"the {what}")
    parser.add_argument("--file", type=Path, help="a JSON list of test cases to run instead of those that are kept")
    parser.add_argument("--version", type=int, help="the version to run, by default the one in use")


def read_cases(path: Path | None) -> list[Any] | None:
    """The test cases of a file, None where there is no file. Raises CommandError."""
    if path is None:
        return None
    try:
        cases = orjson.loads(path.read_bytes())
    except OSError as exc:
        raise CommandError(f"{path} cannot be read: {exc.strerror}") from exc
    except orjson.JSONDecodeError as exc:
        raise CommandError(f"{path} is not JSON: {exc.msg} at line {exc.lineno} column {exc.colno}") from exc
    if not isinstance(cases, list):
        raise CommandError(f"{path}: expected a JSON list of test cases.")
    return cases


def report_lines(report: CaseReport) -> Iterator[str]:
    """One line for each test case, and one for each difference."""
    for result in report.results:
        yield f"{'ok  ' if result.passed else 'FAIL'}  {result.name}"
        for difference in result.differences:
            yield f"        {difference.pointer or 'all'}: expected {difference.expected}, got {difference.got}"
    count, failed = len(report.results), len(report.failures)
    yield f"{report.name} version {report.version}: {count} test cases, {failed} failed"
