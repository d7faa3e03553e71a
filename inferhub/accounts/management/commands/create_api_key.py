"""inferhub create_api_key: make an API key and show its secret once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.accounts.models import Scope
from inferhub.accounts.services import create_api_key
from inferhub.errors import InferhubError


class Command(BaseCommand):
    help = "Make an API key. The secret is shown once and stored nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the system that will use it, for example 'web shop'")
        parser.add_argument("--scope", action="append", required=True, choices=Scope.values, help="may be given often")
        parser.add_argument("--requests-per-minute", type=int, help="its quota; without it, as many as it likes")
        parser.add_argument("--actor", default="cli", help="who makes it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            _, secret = create_api_key(
                name=options["name"],
                scopes=options["scope"],
                actor=f"cli:{options['actor']}",
                requests_per_minute=options["requests_per_minute"],
            )
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write(secret)
