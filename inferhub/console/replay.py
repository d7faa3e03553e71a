"""How a replay came out, for the decision's page."""

from inferhub.console import html
from inferhub.console.sections import Facts, Section, Table
from inferhub.console.trace import decision_facts
from inferhub.decisions.models import Decision
from inferhub.decisions.replay import replay_decision
from inferhub.decisions.rerun import Replayed
from inferhub.errors import InferhubError


def replay_sections(decision: Decision) -> tuple[Section, ...]:
    try:
        found = replay_decision(decision.pk)
    except InferhubError as exc:
        found = Replayed(decision_id=decision.pk, problem=str(exc))
    return (_verdict(found), *_differences(found), decision_facts(decision))


def _verdict(found: Replayed) -> Facts:
    word, told = "equal", "Bit for bit: predictions, outcome, outputs, trace and actions."
    if not found.is_equal:
        word = "not possible" if found.problem else "different"
        told = html.alarm(found.problem or "It comes out differently now.")
    pairs = (("Result", html.badge(word, state="passed" if found.is_equal else "failed")), ("In words", told))
    recorded = (("Failed prediction", "taken as it is recorded"),) if found.takes_failure else ()
    return Facts(title="Replay", pairs=(*pairs, *recorded))


def _differences(found: Replayed) -> tuple[Section, ...]:
    if not found.differences:
        return ()
    rows = [
        (html.code(one.pointer), html.json_block(one.stored), html.json_block(one.replayed))
        for one in found.differences
    ]
    return (Table(title="Differences", columns=("Where", "Stored", "Replayed"), rows=rows),)
