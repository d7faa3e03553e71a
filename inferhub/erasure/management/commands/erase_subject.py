"""inferhub erase-subject: take a person's data out of the hub."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.erasure.services import erase_person
from inferhub.errors import InferhubError


class Command(BaseCommand):
    help = "Erase what the hub holds about a subject; digests can still be checked."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", help="exactly as in decisions and events")
        parser.add_argument("--reason", required=True, help="why, for the audit log; without personal data")
        parser.add_argument("--workflow", default="", help="only what belongs to this workflow")
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--actor", default="cli", help="who asks for it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            erased = erase_person(
                subject=options["subject"],
                reason=options["reason"],
                workflow=options["workflow"],
                is_dry_run=options["dry_run"],
                actor=f"cli:{options['actor']}",
            )
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        if options["dry_run"]:
            self.stdout.write("a dry run: nothing is erased, this would be")
        for sentence in erased.sentences or ["nothing is kept about this subject"]:
            self.stdout.write(sentence)
        if erased.erasure_id is not None:
            self.stdout.write(f"the audit log has it as erasure:{erased.erasure_id}")
