"""inferhub export_labels: what reviewers decided, as labelled data for retraining."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.decisions.labels import FORMATS, LabelQuery, export_labels
from inferhub.errors import InferhubError


class Command(BaseCommand):
    help = "Write the settled reviews of a workflow as labelled data (CSV or JSON lines)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("workflow", help="for example order-screening")
        parser.add_argument("--out", default="-", help="the file to write; - is the standard output (default)")
        parser.add_argument("--format", choices=sorted(FORMATS), help="csv or jsonl; by default as --out ends, or csv")
        parser.add_argument("--since", type=_day, help="only reviews settled on this day (UTC) or later: 2026-01-31")
        parser.add_argument("--actor", default="cli", help="who asks for it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["out"]
        form = options["format"] or ("jsonl" if path.endswith(".jsonl") else "csv")
        query = LabelQuery(workflow=options["workflow"], since=options["since"])
        try:
            blocks = export_labels(query, form=form, actor=f"cli:{options['actor']}")
            if path == "-":
                sys.stdout.buffer.writelines(blocks)
                return
            with Path(path).open("wb") as file:
                file.writelines(blocks)
        except (InferhubError, OSError) as exc:
            raise CommandError(str(exc)) from exc
        self.stderr.write(f"written to {path}")


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
