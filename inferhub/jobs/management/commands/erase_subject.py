"""inferhub erase_subject: take a person's data out of the decisions."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.errors import InferhubError
from inferhub.jobs.erasure import erase_person


class Command(BaseCommand):
    help = "Erase what decisions, flags and lists hold about a subject; digests can still be checked."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", help="exactly as in the decisions")
        parser.add_argument("--reason", required=True, help="why, for the audit log; without personal data")
        parser.add_argument("--workflow", default="", help="only decisions of this workflow")
        parser.add_argument("--actor", default="cli", help="who asks for it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            erased = erase_person(
                subject=options["subject"],
                reason=options["reason"],
                workflow=options["workflow"],
                actor=f"cli:{options['actor']}",
            )
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        for sentence in erased.sentences or ["nothing is kept about this subject"]:
            self.stdout.write(sentence)
