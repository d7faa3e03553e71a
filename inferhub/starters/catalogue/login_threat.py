"""Login-threat triage: which sign-ins pass, which need a second factor, which an analyst sees."""

from inferhub.starters.starter import (
    Document,
    Parts,
    Sample,
    Starter,
    fields,
    flag,
    identifier,
    number,
    one_of,
    review,
    whole,
)
from inferhub.starters.words import NETWORKS, SECOND_FACTORS

RULES: Document = {
    "hit_policy": "first",
    "inputs": [
        {"field": "prediction.threat.probability", "type": "number", "label": "Probability of a threat"},
        {
            "field": "speed",
            "type": "number",
            "label": "Travelled, km an hour",
            "expression": "input.distance_km / (input.hours_since_last + 0.1)",
        },
        {"field": "input.second_factor", "type": "string", "label": "Second factor"},
        {"field": "input.is_privileged", "type": "boolean", "label": "Privileged account"},
    ],
    "outputs": [
        {"field": "outcome", "type": "string", "label": "Outcome"},
        {"field": "urgency", "type": "string", "label": "Urgency"},
    ],
    "rules": [
        {
            "when": [">= 0.5", "", '"none", "failed"', ""],
            "then": ['"review"', '"now"'],
            "note": "looks like a stolen password, and no second factor stood in the way",
        },
        {
            "when": ["", "> 1000", '"none", "failed"', ""],
            "then": ['"review"', '"now"'],
            "note": "nobody travels that fast",
        },
        {
            "when": [">= 0.2", "", "", "true"],
            "then": ['"review"', '"now"'],
            "note": "a doubt about an account that can do much",
        },
        {
            "when": [">= 0.5", "", "", ""],
            "then": ['"review"', '"today"'],
            "note": "looks like a threat, though the second factor was passed",
        },
        {
            "when": ["", "", '"failed"', ""],
            "then": ['"step-up"', '"none"'],
            "note": "the second factor is asked for again",
        },
        {
            "when": [">= 0.1", "", '"none"', ""],
            "then": ['"step-up"', '"none"'],
            "note": "something is unusual: ask for a second factor",
        },
        {"when": ["", "", "", ""], "then": ['"allow"', '"none"'], "note": "all others"},
    ],
}
_USUAL: Document = {
    "login_id": "L-88120",
    "account_id": "mara.lind",
    "failed_attempts": 0,
    "distance_km": 4,
    "hours_since_last": 15.5,
    "hour": 9,
    "network": "office",
    "second_factor": "passed",
    "is_new_device": False,
    "is_new_country": False,
    "is_privileged": False,
}
_STRANGE: Document = _USUAL | {
    "login_id": "L-88121",
    "failed_attempts": 6,
    "distance_km": 7900,
    "hours_since_last": 2.0,
    "hour": 3,
    "network": "anonymising",
    "second_factor": "none",
    "is_new_device": True,
    "is_new_country": True,
}


def _says(probability: float) -> Document:
    return {"threat": {"label": "threat" if probability >= 0.5 else "usual", "probability": probability}}


STARTER = Starter(
    name="login-threat",
    title="Login-threat triage",
    audience="IT security",
    summary="Sorts sign-ins: the usual ones pass, unusual ones need a second factor, and an analyst sees what looks "
    "like a stolen password.",
    story=(
        "The same machinery outside of retail. A model learns from 6,000 invented sign-ins how failed attempts, new "
        "devices, distances, networks and hours go together with stolen passwords, and gives a probability.\n\n"
        "The rules add what no model should decide alone: privileged accounts get a lower threshold, and a distance "
        "that nobody can travel is a sign by itself. The queue that analysts work through is ordered by urgency."
    ),
    caution="It locks nobody out. The strongest thing that it does by itself is to ask for a second factor; whether an "
    "account is closed is an analyst's decision. It is one signal beside your other controls, learned from "
    "invented data: train it on your own sign-ins, and check that it is no harder on people who travel, work at "
    "night or use a shared network.",
    parts=Parts(
        input="A sign-in: device, place, network, hour",
        model="Probability of a threat (LightGBM)",
        rules="7 rows: probability, speed, second factor",
        actions="Allow, ask again, or an analyst looks",
    ),
    task="classification",
    rules=RULES,
    workflow={
        "input": fields(
            login_id=identifier("Sign-in", "Your own id of the sign-in.", "L-88120"),
            account_id=identifier("Account", "Whose account it is; a pseudonym will do.", "mara.lind"),
            failed_attempts=whole("Failed attempts", "Wrong passwords in the hour before.", 0),
            distance_km=number("Distance", "Kilometres from the place of the last sign-in.", 4, high=20_100),
            hours_since_last=number("Hours since the last sign-in", "May be a fraction.", 15.5),
            hour=whole("Hour", "Hour of the day where the person usually works.", 9, high=23),
            network=one_of("Network", "Where the sign-in comes from.", list(NETWORKS), "office"),
            second_factor=one_of("Second factor", "What came of it; none: not asked.", list(SECOND_FACTORS), "passed"),
            is_new_device=flag("New device", "Whether the account never used this device."),
            is_new_country=flag("New country", "Whether the account was never used from this country."),
            is_privileged=flag("Privileged account", "Whether it can change systems or read what others may not."),
        ),
        "subject": "account_id",
        "predictions": [
            {
                "name": "threat",
                "inputs": {name: name for name in _USUAL if name not in ("login_id", "account_id", "is_privileged")},
            }
        ],
        "actions": {"review": [review("Is this the person whose account it is?", approve="allow")]},
    },
    samples=(
        Sample(title="A morning in the office", body=_USUAL),
        Sample(title="Another continent two hours later, after wrong passwords", body=_STRANGE),
        Sample(
            title="A traveller with a new phone, second factor passed",
            body=_USUAL
            | {
                "distance_km": 1200,
                "hours_since_last": 20,
                "network": "mobile",
                "is_new_device": True,
                "is_new_country": True,
            },
        ),
    ),
    tests=(
        {
            "name": "A morning in the office passes",
            "input": _USUAL,
            "expect": {"outcome": "allow", "actions": []},
        },
        {
            "name": "Another continent two hours later is seen by an analyst now",
            "input": _STRANGE,
            "expect": {"outcome": "review", "outputs": {"urgency": "now"}, "actions": ["review"]},
        },
        {
            "name": "Nobody travels that fast, whatever the model says",
            "input": _USUAL | {"distance_km": 5000, "hours_since_last": 1, "second_factor": "none"},
            "predictions": _says(0.01),
            "expect": {"outcome": "review", "outputs": {"urgency": "now"}},
        },
        {
            "name": "A passed second factor excuses fast travel: it may be a remote desktop",
            "input": _USUAL | {"distance_km": 5000, "hours_since_last": 1},
            "predictions": _says(0.05),
            "expect": {"outcome": "allow"},
        },
        {
            "name": "What looks like a threat is seen today, although the second factor was passed",
            "input": _USUAL,
            "predictions": _says(0.5),
            "expect": {"outcome": "review", "outputs": {"urgency": "today"}},
        },
        {
            "name": "A doubt is enough for a privileged account",
            "input": _USUAL | {"is_privileged": True},
            "predictions": _says(0.2),
            "expect": {"outcome": "review", "outputs": {"urgency": "now"}},
        },
        {
            "name": "The same doubt about another account asks for a second factor",
            "input": _USUAL | {"second_factor": "none"},
            "predictions": _says(0.2),
            "expect": {"outcome": "step-up", "actions": []},
        },
        {
            "name": "A failed second factor is asked for again",
            "input": _USUAL | {"second_factor": "failed"},
            "predictions": _says(0.02),
            "expect": {"outcome": "step-up"},
        },
        {
            "name": "Where the model fails an analyst looks",
            "input": _USUAL,
            "predictions": {"threat": None},
            "expect": {"outcome": "review", "actions": ["review"]},
        },
    ),
)
