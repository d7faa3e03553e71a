"""The facts behind the gates: read from a version, and from its golden rows run now."""

from typing import Any

from inferhub.errors import Conflict, InferhubError
from inferhub.registry.gates import Candidate, Gate, judge, refuses
from inferhub.registry.models import CHAMPION, Alias, ModelVersion, RegisteredModel, Tuning
from inferhub.registry.storage import read_artifact
from inferhub.runtime.golden import run_golden
from inferhub.runtime.golden_file import read_golden
from inferhub.runtime.session import load_session
from inferhub.runtime.signature import Signature


class GatesFailed(Conflict):
    """A version does not show what its model's policy asks for; the message has every reason."""

    def __init__(self, version: ModelVersion, gates: tuple[Gate, ...]) -> None:
        self.version, self.gates = version, gates
        reasons = " ".join(gate.sentence for gate in gates if not gate.passed)
        super().__init__(f"{version} does not pass the gates of its model: {reasons}")


def pass_gates(model: RegisteredModel, version: ModelVersion) -> dict[str, Any]:
    """The gates as they are now, as evidence. Raises GatesFailed where one fails and the policy does not only warn."""
    gates = judge(model.gates, candidate_of(version, runs_golden=True), _champion(model))
    if refuses(model.gates, gates):
        raise GatesFailed(version, gates)
    return {"gates": [gate.to_dict() for gate in gates]}


def candidate_of(version: ModelVersion, *, runs_golden: bool = False) -> Candidate:
    return Candidate(
        number=version.number,
        certificate=version.certificate,
        digests=(version.digest, version.source_digest),
        has_golden=bool(version.golden),
        golden_failure=_golden_failure(version) if runs_golden and version.golden else "",
        run_us=run_us_of(version),
        memory_bytes=max(version.memory_bytes, version.size),
        metrics=version.metrics,
    )


def run_us_of(version: ModelVersion) -> float | None:
    """The time of one run in microseconds: with the tuned settings where there are some, else as the check saw it."""
    tuning = version.tunings.order_by("-id").first()
    found = None if tuning is None else _tuned_us(tuning)
    found = version.measured.get("run_us") if found is None else found
    return None if found is None else float(found)


def _tuned_us(tuning: Tuning) -> float | None:
    """The time of the smallest batch under the settings that were the best."""
    chosen = [tuning.settings.get(name) for name in ("threads", "optimisation")]
    runs = [run for run in tuning.measured["runs"] if [run["threads"], run["optimisation"]] == chosen]
    return min(runs, key=lambda run: int(run["batch"]))["run_us"] if runs else None


def _champion(model: RegisteredModel) -> Candidate | None:
    alias = Alias.objects.select_related("version").filter(model=model, name=CHAMPION).first()
    return candidate_of(alias.version) if alias else None


def _golden_failure(version: ModelVersion) -> str:
    """How the golden rows fail now, in this process on this machine; empty where they do not."""
    try:
        rows = read_golden(version.golden, Signature.from_dict(version.signature))
        report = run_golden(load_session(read_artifact(version.digest)), rows)
    except InferhubError as exc:
        return f"Its golden rows could not be run: {exc}"
    if report.passed:
        return ""
    sentences = "; ".join(mismatch.sentence for mismatch in report.mismatches[:5])
    return f"{report.mismatch_count} of {report.values} golden values come out differently: {sentences}."
