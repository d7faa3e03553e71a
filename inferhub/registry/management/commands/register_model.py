"""inferhub register_model: check a model file and make it the next version of a model."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.errors import InferhubError
from inferhub.registry.models import CHAMPION, Task
from inferhub.registry.services import Provenance, register_version


class Command(BaseCommand):
    help = "Check an ONNX file, or a text model of LightGBM, and make it the next version of a registered model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="for example order-value")
        parser.add_argument("file", type=Path, help="an ONNX file, or a text model of LightGBM")
        parser.add_argument("--task", required=True, choices=Task.values)
        parser.add_argument("--alias", default=CHAMPION, help="alias to point at the new version; '' for none")
        parser.add_argument("--description", default="", help="what the model is for")
        parser.add_argument("--notes", default="", help="what is new in this version")
        parser.add_argument("--certificate", type=Path, help="parity report of the export, a JSON file")
        parser.add_argument("--golden", type=Path, help="golden rows that must come out as they say, JSON or .npz")
        parser.add_argument("--actor", default="cli", help="who registers it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            data = options["file"].read_bytes()
            certificate = json.loads(options["certificate"].read_bytes()) if options["certificate"] else {}
            version = register_version(
                name=options["name"],
                task=options["task"],
                data=data,
                alias=options["alias"],
                description=options["description"],
                golden=options["golden"].read_bytes() if options["golden"] else b"",
                provenance=Provenance(certificate=certificate, notes=options["notes"]),
                actor=f"cli:{options['actor']}",
            )
        except (InferhubError, OSError, json.JSONDecodeError) as exc:
            raise CommandError(str(exc)) from exc
        self.stdout.write(f"{version.model.name} version {version.number}")
        self.stdout.write(f"  digest   {version.digest}")
        for side in ("inputs", "outputs"):
            for tensor in version.signature[side]:
                shape = ", ".join("?" if size is None else str(size) for size in tensor["shape"])
                self.stdout.write(f"  {side[:-1]:8} {tensor['name']} {tensor['datatype']} [{shape}]")
        if options["alias"]:
            self.stdout.write(f"  alias    {options['alias']}")
