"""inferhub rule_set_file: export a rule set, or import one as its next version."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.errors import InferhubError
from inferhub.rulesets.checks import describe_findings
from inferhub.rulesets.files import export_rules, format_of, import_rules
from inferhub.rulesets.lifecycle import describe_save
from inferhub.rulesets.queries import find_rule_set
from inferhub.rulesets.reading import find_version
from inferhub.rulesets.services import KIND, save_rule_set


class Command(BaseCommand):
    help = "Export a rule set as .xlsx, .csv or .json (JDM), or import one as its next version."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("deed", choices=("export", "import"))
        parser.add_argument("name", help="the rule set")
        parser.add_argument("file", type=Path, help="its ending says what it is")
        parser.add_argument("--number", type=int, help="export: this version, by default the one in use")
        parser.add_argument("--note", default="", help="import: what changed, and why")
        parser.add_argument("--actor", default="cli", help="who does it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        name, path, number = options["name"], options["file"], options["number"]
        try:
            kind = format_of(path.name).name
            if options["deed"] == "export":
                version = find_version(name, find_rule_set(name).number if number is None else number)
                path.write_bytes(export_rules(version.definition, kind))
            else:
                definition = import_rules(path.read_bytes(), kind)
                actor = f"cli:{options['actor']}"
                version = save_rule_set(name=name, definition=definition, actor=actor, note=options["note"])
        except (InferhubError, OSError) as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write(f"{version}: {path}" if options["deed"] == "export" else describe_save(KIND, version))
        for finding in describe_findings(version.definition) if options["deed"] == "import" else ():
            if finding["severity"] != "info":
                self.stderr.write(self.style.WARNING(finding["message"]))
