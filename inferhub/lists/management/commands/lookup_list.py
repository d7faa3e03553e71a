"""inferhub lookup_list: show and edit a look-up list."""

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.errors import InferhubError
from inferhub.lists.files import from_csv, to_csv
from inferhub.lists.models import LookupList
from inferhub.lists.queries import entries_at
from inferhub.lists.services import Entry, ListChange, add_entries, remove_entries, replace_entries, save_list

_DEEDS = ("create", "add", "remove", "import", "export")


class Command(BaseCommand):
    help = "Create a look-up list, add or remove values, import or export its entries as CSV."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("deed", choices=_DEEDS)
        parser.add_argument("name", help="the list")
        parser.add_argument("values", nargs="*", help="values to add or remove; else a file, - for none")
        parser.add_argument("--replace", action="store_true", help="import: remove what the file does not hold")
        parser.add_argument("--description", default="", help="create: what its values are, and who keeps it")
        parser.add_argument("--list-version", type=int, help="export: as of this version")
        parser.add_argument("--reason", default="", help="kept with the new version")
        parser.add_argument("--actor", default="cli", help="who does it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["deed"] == "export":
                self._export(options)
            elif options["deed"] == "create":
                save_list(name=options["name"], description=options["description"], actor=_actor(options))
                self.stdout.write(f"{options['name']} is there")
            else:
                change = _change(options)
                self.stdout.write(f"version {change.version}: {change.added} added, {change.removed} removed")
        except (InferhubError, OSError, UnicodeDecodeError) as exc:
            raise CommandError(str(exc)) from exc

    def _export(self, options: dict[str, Any]) -> None:
        found = LookupList.objects.filter(name=options["name"]).first()
        if found is None:
            raise CommandError(f"There is no list '{options['name']}'.")
        number = found.version if options["list_version"] is None else options["list_version"]
        text = "".join(to_csv(entries_at(found, number).iterator(chunk_size=10_000)))
        path = _file(options["values"])
        if path is None:
            self.stdout.write(text, ending="")
        else:
            path.write_text(text, encoding="utf-8", newline="")


def _change(options: dict[str, Any]) -> ListChange:
    words = {"name": options["name"], "actor": _actor(options), "reason": options["reason"]}
    if options["deed"] == "import":
        path = _file(options["values"])
        entries = from_csv(sys.stdin.read() if path is None else path.read_text(encoding="utf-8"))
        return (replace_entries if options["replace"] else add_entries)(entries=entries, **words)
    if options["deed"] == "remove":
        return remove_entries(values=options["values"], **words)
    return add_entries(entries=[Entry(value=value) for value in options["values"]], **words)


def _file(values: list[str]) -> Path | None:
    """The file that was named; None for standard input or output."""
    if len(values) > 1:
        raise CommandError("Expected one file.")
    return Path(values[0]) if values and values[0] != "-" else None


def _actor(options: dict[str, Any]) -> str:
    return f"cli:{options['actor']}"
