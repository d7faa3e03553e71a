"""inferhub audit: seal the log, verify it, prove what stands in it."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from inferhub.audit.copies import read_copies
from inferhub.audit.models import Verification
from inferhub.audit.proofs import checker_text
from inferhub.errors import InferhubError
from inferhub.jobs.proving import prove, record_verification, seal_and_copy


class Command(BaseCommand):
    help = "Seal, verify and prove the log of decisions and audit events: seal, verify, proof, checker."

    def add_arguments(self, parser: CommandParser) -> None:
        deeds = parser.add_subparsers(dest="deed", required=True)
        deeds.add_parser("seal", help="seal now what is committed, and write the newest seal outside")
        verify = deeds.add_parser("verify", help="verify chain and rows; exit status 1 where anything was changed")
        verify.add_argument("--since-seal", type=int, default=0, metavar="N", help="only rows that later seals cover")
        verify.add_argument("--against", type=Path, metavar="FILE", help="seals that were written outside")
        verify.add_argument("--json", action="store_true", help="the whole report as JSON")
        verify.add_argument("--actor", default="cli", help="who verifies, for the audit log")
        proof = deeds.add_parser("proof", help="the proof of one row, as JSON")
        proof.add_argument("row", help="decision:ID or audit-event:NUMBER")
        proof.add_argument("--head", type=int, metavar="N", help="up to this seal, by default the newest")
        deeds.add_parser("checker", help="the script that checks a proof without the hub")

    def handle(self, *args: Any, deed: str, **options: Any) -> None:
        try:
            getattr(self, f"_{deed}")(**options)
        except InferhubError as exc:
            raise CommandError(str(exc)) from exc

    def _seal(self, **options: Any) -> None:
        seals = seal_and_copy()
        self.stdout.write(f"rows sealed: {sum(seal.count for seal in seals)}, new seals: {len(seals)}")

    def _verify(self, *, since_seal: int, against: Path | None, actor: str, **options: Any) -> None:
        copies = read_copies(against) if against else None
        seal_and_copy()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True)) as shown:
            bar = shown.add_task("rows", total=None)
            done = record_verification(
                since_seal=since_seal,
                copies=copies,
                actor=f"cli:{actor}",
                tell=lambda done, total: shown.update(bar, completed=done, total=total),
            )
        if options["json"]:
            self.stdout.write(json.dumps(done.report, indent=2))
        else:
            self._tell(done)
        if not done.report["is_clean"]:
            raise CommandError(f"The log is not as it was written: {_counts(done)}.")

    def _tell(self, done: Verification) -> None:
        report = done.report
        rows = ", ".join(f"{count} of {name}" for name, count in sorted(report["rows"].items()))
        self.stdout.write(f"{report['seals']} seals and {sum(report['rows'].values())} rows ({rows}) verified")
        self.stdout.write(
            f"{report['unsealed']} rows wait for a seal; {report['excused']} were moved out with their month, "
            "as audit events decisions.detached say"
        )
        self.stdout.write(f"newest seal: {report['head']} {report['head_digest']}")
        self.stdout.write(
            f"compared with {report['copies']} seals that were written outside of the database"
            if report["copies"]
            else "compared with no seal from outside: whoever made the whole chain anew is not found without one "
            "(--against FILE, INFERHUB_SEAL_FILE)"
        )
        for finding in report["findings"]:
            self.stdout.write(finding["sentence"])

    def _proof(self, *, row: str, head: int | None, **options: Any) -> None:
        stream, colon, id_text = row.partition(":")
        if not colon:
            raise CommandError(f"row: expected decision:ID or audit-event:NUMBER, got '{row}'")
        self.stdout.write(json.dumps(prove(stream, id_text, head=head), indent=2, ensure_ascii=False))

    def _checker(self, **options: Any) -> None:
        self.stdout.write(checker_text(), ending="")


def _counts(done: Verification) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(done.report["counts"].items()))
