import pytest

from inferhub.accounts.models import Scope
from inferhub.accounts.services import create_api_key
from inferhub.audit.models import AuditEvent, Seal, Verification
from inferhub.audit.sealing import seal_all
from inferhub.jobs.proving import ring_for_open_verifications, run_verification
from tests.audit.log import make_decision
from tests.hub_fixtures import ACTOR, Api

pytestmark = pytest.mark.django_db


def test_the_audit_log_can_be_read_and_narrowed(api: Api, workflow: str) -> None:
    decision = make_decision()
    entries = api.get("audit/events").json()["results"]
    assert [entry["id"] for entry in entries] == list(AuditEvent.objects.values_list("pk", flat=True))
    found = api.get(f"audit/events?subject=decision:{decision.pk}&action=decision.made").json()["results"]
    assert [(entry["actor"], entry["details"]["outcome"]) for entry in found] == [(ACTOR, "accept")]
    assert api.get("audit/events?nonsense=1").status_code == 422


def test_seals_are_listed_with_the_newest_first(api: Api, workflow: str) -> None:
    for _ in range(2):
        make_decision()
        seal_all()
    entries = api.get("audit/seals").json()["results"]
    assert [(entry["number"], entry["digest"]) for entry in entries] == list(
        Seal.objects.values_list("number", "digest")
    )
    assert "records" not in entries[0]
    assert {entry["stream"] for entry in api.get("audit/seals?stream=decision").json()["results"]} == {"decision"}


def test_a_decision_and_an_audit_event_can_be_proved(api: Api, workflow: str) -> None:
    decision = make_decision()
    address = f"decisions/{decision.pk}/proof"
    assert api.get(address).status_code == 409
    seal_all()
    proof = api.get(address).json()
    assert (proof["id"], proof["seals"][0]["digest"]) == (str(decision.pk), Seal.objects.first().digest)  # type: ignore[union-attr]
    event = AuditEvent.objects.get(subject=f"decision:{decision.pk}")
    assert api.get(f"audit/events/{event.pk}/proof").json()["id"] == str(event.pk)
    assert api.get("audit/events/999999/proof").status_code == 404
    assert api.get(f"{address}?head=1000").status_code == 422
    assert api.get(f"{address}?head=x").status_code == 422
    assert api.get(f"{address}?head={proof['seals'][-1]['number']}").status_code == 200


def test_a_verification_runs_on_a_worker_and_is_recorded(api: Api, workflow: str) -> None:
    make_decision()
    seal_all()
    answer = api.post("audit/verifications", {"since_seal": 0})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    number = answer.json()["verification_id"]
    assert answer["Location"].endswith(f"/api/v1/audit/verifications/{number}")
    run_verification(number)
    run_verification(number)  # a second bell changes nothing
    done = api.get(f"audit/verifications/{number}").json()
    assert (done["state"], done["report"]["is_clean"], done["head"]) == ("passed", True, 2)
    assert done["rows"] == sum(done["report"]["rows"].values()) > 2
    event = AuditEvent.objects.get(action="log.verified")
    assert (event.actor, event.details["state"], event.details["seal"]) == (f"api-key:{_prefix(api)}", "passed", 2)
    assert [entry["verification_id"] for entry in api.get("audit/verifications").json()["results"]] == [number]


def _prefix(api: Api) -> str:
    return api.secret.split("_")[1]


def test_a_verification_whose_worker_was_lost_is_rung_for_again_and_given_up_in_the_end(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = api.post("audit/verifications", {}).json()["verification_id"]
    rung: list[str] = []
    monkeypatch.setattr("inferhub.jobs.proving.bell.ring", lambda task, argument: rung.append(argument))
    Verification.objects.update(state="running", attempt_count=3, leased_until="2020-01-01T00:00Z")
    ring_for_open_verifications()
    assert rung == [number]
    run_verification(number)
    done = api.get(f"audit/verifications/{number}").json()
    assert (done["state"], done["problem"]) == ("broken", "No worker finished it in 3 attempts.")
    assert not AuditEvent.objects.filter(action="log.verified").exists()


def test_what_is_asked_for_must_be_a_number(api: Api) -> None:
    assert api.post("audit/verifications", {"since_seal": -1}).status_code == 422
    assert api.get("audit/verifications/01234567-89ab-7def-8000-000000000000").status_code == 404


def test_only_keys_with_the_scope_audit_see_the_audit_log(api: Api, workflow: str) -> None:
    others = [scope for scope in Scope.values if scope != Scope.AUDIT]
    other = Api(create_api_key(name="another", scopes=others, actor=ACTOR)[1])
    decision = make_decision()
    for path in ("audit/events", "audit/seals", "audit/verifications", f"decisions/{decision.pk}/proof"):
        assert other.get(path).status_code == 403, path
    assert other.post("audit/verifications", {}).status_code == 403
