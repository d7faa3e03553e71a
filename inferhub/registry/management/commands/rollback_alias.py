"""inferhub rollback_alias: point an alias at where it pointed before, at once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.errors import InferhubError
from inferhub.registry.aliases import rollback_alias
from inferhub.registry.models import CHAMPION, Alias


class Command(BaseCommand):
    help = "Point an alias at the version that it pointed at before. At once: that version was served then."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the registered model")
        parser.add_argument("--alias", default=CHAMPION)
        parser.add_argument("--reason", required=True, help="kept in the audit log")
        parser.add_argument("--from-version", type=int, help="refuse where another version is in place")
        parser.add_argument("--actor", default="cli", help="who does it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        alias = Alias.objects.filter(model__name=options["name"], name=options["alias"]).first()
        if alias is None:
            raise CommandError(f"The model '{options['name']}' has no alias '{options['alias']}'.")
        try:
            back = rollback_alias(
                alias=alias,
                actor=f"cli:{options['actor']}",
                reason=options["reason"],
                from_version=options["from_version"],
            )
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write(f"{back} points at version {back.version.number} again")
