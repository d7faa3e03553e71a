"""inferhub register_model: check a model file and make it the next version of a model."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from inferhub.errors import InferhubError
from inferhub.registry.folder import read_upload
from inferhub.registry.models import CHAMPION, Approval, ModelVersion, RegisteredModel, Task
from inferhub.registry.queries import pending_move
from inferhub.registry.services import register_version

_PAPERS = {
    "certificate": "parity report of the export, a JSON file",
    "metrics": "how well it does, a JSON file",
    "lineage": "data digest, code version, parameters: a JSON file",
    "steps": "pre- and postprocess steps, a JSON file",
    "model-card": "a Markdown file",
    "golden": "golden rows that must come out as they say, JSON or .npz",
}


class Command(BaseCommand):
    help = "Check an ONNX file, or a text model of LightGBM, and make it the next version of a registered model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="for example order-value")
        parser.add_argument(
            "file", type=Path, help="an ONNX file, a text model of LightGBM, or a folder as `recommender train` writes"
        )
        parser.add_argument(
            "--task", default="", choices=["", *Task.values], help="of a new model, where the folder does not say it"
        )
        parser.add_argument("--alias", default=CHAMPION, help="alias to point at the new version; '' for none")
        parser.add_argument(
            "--approval",
            default="",
            choices=["", *Approval.values],
            help="how the aliases of a new model move: asked for by one person and approved by another, which is what "
            "happens where nothing is said, or directly",
        )
        parser.add_argument("--description", default="", help="what the model is for")
        parser.add_argument("--notes", default="", help="what is new in this version")
        for name, meaning in _PAPERS.items():
            parser.add_argument(f"--{name}", type=Path, help=meaning)
        parser.add_argument("--actor", default="cli", help="who registers it, for the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        name, alias = options["name"], options["alias"]
        papers = {paper.replace("-", "_"): options[paper.replace("-", "_")] for paper in _PAPERS}
        try:
            upload = read_upload(options["file"], notes=options["notes"], **papers)
            version = register_version(
                name=name,
                task=options["task"] or _task_of(name) or upload.task,
                data=upload.data,
                alias=alias,
                description=options["description"],
                approval=options["approval"],
                golden=upload.golden,
                provenance=upload.provenance,
                actor=f"cli:{options['actor']}",
            )
        except (InferhubError, OSError) as exc:
            raise CommandError(str(exc)) from exc
        self._show(version, alias)

    def _show(self, version: ModelVersion, alias: str) -> None:
        self.stdout.write(f"{version.model.name} version {version.number}")
        self.stdout.write(f"  digest   {version.digest}")
        for side in ("inputs", "outputs"):
            for tensor in version.signature[side]:
                shape = ", ".join("?" if size is None else str(size) for size in tensor["shape"])
                self.stdout.write(f"  {side[:-1]:8} {tensor['name']} {tensor['datatype']} [{shape}]")
        change = pending_move(version)
        if change is not None:
            self.stdout.write(f"  alias    {alias} waits for a person's approval: change request {change.pk}")
            self.stdout.write("           (in the console, Approvals; new models need none with --approval direct)")
        elif alias:
            self.stdout.write(f"  alias    {alias}")


def _task_of(name: str) -> str:
    """The task of a model that is registered already."""
    return RegisteredModel.objects.filter(name=name).values_list("task", flat=True).first() or ""
