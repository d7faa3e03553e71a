"""inferhub starter: list the starters, or install one and say how to try it."""

import textwrap
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from inferhub.accounts.models import Scope
from inferhub.accounts.services import create_api_key
from inferhub.embedded.up import address
from inferhub.errors import Conflict, InferhubError
from inferhub.jobs.models import State
from inferhub.starters.catalogue import STARTERS
from inferhub.starters.installing import run_installation
from inferhub.starters.models import Installation
from inferhub.starters.paste import curl_line
from inferhub.starters.queries import find_starter, installations_by_starter, try_path
from inferhub.starters.services import request_installation
from inferhub.starters.starter import ALONE, Starter


class Command(BaseCommand):
    help = "List the starter templates, or install one: a model, rules, a workflow and test cases that work at once."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        deeds.add_parser("list", help="show the starters and where they are installed")
        install = deeds.add_parser("install", help="install one")
        install.add_argument("starter", choices=STARTERS)
        install.add_argument(
            "--as",
            dest="name",
            default="",
            help="what all that it makes is called; by default as the starter is",
        )
        install.add_argument("--actor", default="cli", help="who installs it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        if Installation._meta.db_table not in connection.introspection.table_names():
            raise CommandError("This hub has no tables yet: start `inferhub up`, or run `inferhub migrate` once.")
        if options["deed"] == "list":
            self._list()
        else:
            self._install(**options)

    def _install(self, **options: Any) -> None:
        actor = f"cli:{options['actor']}"
        try:
            installation = request_installation(
                starter=options["starter"], name=options["name"], actor=actor, is_rung=False
            )
            run_installation(installation.pk, report=self._say)
            installation.refresh_from_db()
            if installation.state != State.SUCCEEDED:
                raise CommandError(f"{installation.problem}\nThe same command goes on from here.")
            starter = find_starter(installation.starter)
            scope = Scope.DECIDE if starter.workflow else Scope.RECOMMEND
            _, secret = create_api_key(name=f"starter {installation.name}", scopes=[scope, Scope.READ], actor=actor)
        except InferhubError as exc:
            hint = "\n--as NAME gives it a name of its own." if isinstance(exc, Conflict) else ""
            raise CommandError(f"{exc}{hint}") from exc
        self._show(starter, installation, secret)

    def _list(self) -> None:
        installed = installations_by_starter()
        indent = " " * 18
        for starter in STARTERS.values():
            names = [found.name for found in installed[starter.name] if found.state == State.SUCCEEDED]
            self._say(f"{starter.name:18}{starter.title}")
            self._say(textwrap.fill(starter.summary, 100, initial_indent=indent, subsequent_indent=indent))
            if names:
                self._say(f"{indent}installed as {', '.join(names)}")
        self._say("\nInstall one: inferhub starter install NAME [--as OTHER-NAME]")

    def _show(self, starter: Starter, installation: Installation, secret: str) -> None:
        place, name = address(settings.CONFIG), installation.name
        self._say(f"\n{starter.title} works now; all that belongs to it is called '{name}'.")
        self._say(textwrap.fill(ALONE, 100))
        if starter.caution:
            self._say("\n" + textwrap.fill(starter.caution, 100))
        self._say(f"\nWhile `inferhub up` runs, try it ({starter.samples[0].title.lower()}):\n")
        body = starter.samples[0].body
        self._say(curl_line(place, secret, try_path(starter, name), {"input": body} if starter.workflow else body))
        self._say(f"\nIn the console: {place}/starters/installation/{installation.pk}/change/")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
