"""Patient-risk triage: in which order somebody looks after the patients of a ward."""

from inferhub.starters.starter import (
    Document,
    Parts,
    Sample,
    Starter,
    fields,
    identifier,
    number,
    one_of,
    review,
    table,
)
from inferhub.starters.words import CONSCIOUSNESS

RULES = table(
    {
        "prediction.risk.probability": ("number", "Probability of getting worse"),
        "input.consciousness": ("string", "Consciousness"),
        "input.oxygen_saturation": ("number", "Oxygen saturation, %"),
        "input.breaths_per_minute": ("number", "Breaths a minute"),
    },
    {"outcome": "Outcome", "attention": "Who looks, and when"},
    [
        ["", 'not("alert")', "", "", '"review"', '"now"', "not fully awake: whatever the model says"],
        ["", "", "< 90", "", '"review"', '"now"', "little oxygen: whatever the model says"],
        ["", "", "", "< 9, > 27", '"review"', '"now"', "very slow or very fast breath: whatever the model says"],
        [">= 0.3", "", "", "", '"review"', '"now"', "the model expects this patient to get worse"],
        [">= 0.08", "", "", "", '"review"', '"within the hour"', "the model is not at ease"],
        ["", "", "", "", '"as-planned"', '"at the next planned check"', "care goes on as the ward has planned it"],
    ],
)
_VITAL = {"type": ["number", "null"]}
_STEADY: Document = {
    "observation_id": "obs-70231",
    "patient_pseudonym": "p-4c1e",
    "age": 58,
    "breaths_per_minute": 15,
    "oxygen_saturation": 97,
    "systolic_pressure": 128,
    "pulse": 74,
    "temperature": 36.8,
    "consciousness": "alert",
}
_WORSE: Document = _STEADY | {
    "observation_id": "obs-70232",
    "patient_pseudonym": "p-9a07",
    "age": 81,
    "breaths_per_minute": 26,
    "oxygen_saturation": 90,
    "systolic_pressure": 98,
    "pulse": 118,
    "temperature": 38.9,
}


def _says(probability: float) -> Document:
    return {"risk": {"label": "worse" if probability >= 0.5 else "stable", "probability": probability}}


def _vital(title: str, description: str, example: float, *, low: float, high: float) -> Document:
    """null where it was not measured: then a person looks."""
    return number(title, description + " null: not measured.", example, low=low, high=high) | _VITAL


STARTER = Starter(
    name="patient-risk",
    title="Patient-risk triage",
    audience="Hospitals, as a demonstration",
    summary="Orders the list of patients by how soon somebody should look; what is missing or alarming always goes "
    "to a person.",
    story=(
        "The same machinery where mistakes weigh most. A logistic regression, whose weights a clinician can read one "
        "by one, learns from invented observations how probably a patient gets worse within a day.\n\n"
        "The rules put people before the model: somebody not fully awake, with little oxygen or with a very slow or "
        "fast breath is seen now, whatever the model says. A value that was not measured is never guessed: a person "
        "looks. No outcome says that a patient needs no care; the mildest one keeps to the ward's own plan."
    ),
    caution="A demonstration of how a model and rules work together, not a medical device. It makes no diagnosis and "
    "recommends no treatment. The data is invented and describes nobody, so neither the model nor the limits in "
    "the rules may be used for patients. Real use needs your clinicians, your own data, a validation, and what "
    "the law on medical devices and on AI demands.",
    parts=Parts(
        input="Seven observations at the bedside",
        model="Probability of getting worse (logistic regression)",
        rules="6 rows: alarming signs first, then the model",
        actions="A person looks now, soon, or as planned",
    ),
    task="classification",
    rules=RULES,
    workflow={
        "input": fields(
            observation_id=identifier("Observation", "Your own id of the observation.", "obs-70231"),
            patient_pseudonym=identifier("Patient", "A pseudonym, never a name or an insurance number.", "p-4c1e"),
            age=number("Age", "In years.", 58, low=18, high=120),
            breaths_per_minute=_vital("Breaths a minute", "Counted over a minute.", 15, low=0, high=80),
            oxygen_saturation=_vital("Oxygen saturation", "In percent.", 97, low=0, high=100),
            systolic_pressure=_vital("Systolic pressure", "In mmHg.", 128, low=0, high=300),
            pulse=_vital("Pulse", "Beats a minute.", 74, low=0, high=300),
            temperature=_vital("Temperature", "In degrees Celsius.", 36.8, low=25, high=45),
            consciousness=one_of("Consciousness", "As observed.", list(CONSCIOUSNESS), "alert"),
        ),
        "subject": "patient_pseudonym",
        "predictions": [
            {
                "name": "risk",
                "inputs": {name: name for name in _STEADY if name not in ("observation_id", "patient_pseudonym")},
            }
        ],
        "actions": {"review": [review("Look after this patient")]},
    },
    samples=(
        Sample(title="Steady values", body=_STEADY),
        Sample(title="Fast breath, fever, little oxygen", body=_WORSE),
        Sample(title="A value that was not measured", body=_STEADY | {"oxygen_saturation": None}),
    ),
    tests=(
        {
            "name": "Steady values keep to the ward's plan",
            "input": _STEADY,
            "expect": {"outcome": "as-planned", "actions": []},
        },
        {
            "name": "Fast breath, fever and little oxygen are seen now",
            "input": _WORSE,
            "expect": {"outcome": "review", "outputs": {"attention": "now"}, "actions": ["review"]},
        },
        {
            "name": "A value that was not measured is never guessed",
            "input": _STEADY | {"oxygen_saturation": None},
            "expect": {"outcome": "review", "undecided": True, "actions": ["review"]},
        },
        {
            "name": "Somebody confused is seen now, whatever the model says",
            "input": _STEADY | {"consciousness": "confused"},
            "predictions": _says(0.001),
            "expect": {"outcome": "review", "outputs": {"attention": "now"}},
        },
        {
            "name": "Little oxygen is seen now, whatever the model says",
            "input": _STEADY | {"oxygen_saturation": 89},
            "predictions": _says(0.001),
            "expect": {"outcome": "review", "outputs": {"attention": "now"}},
        },
        {
            "name": "A very slow breath is seen now, whatever the model says",
            "input": _STEADY | {"breaths_per_minute": 8},
            "predictions": _says(0.001),
            "expect": {"outcome": "review", "outputs": {"attention": "now"}},
        },
        {
            "name": "Where the model is not at ease somebody looks within the hour",
            "input": _STEADY,
            "predictions": _says(0.08),
            "expect": {"outcome": "review", "outputs": {"attention": "within the hour"}},
        },
        {
            "name": "Where the model fails somebody looks",
            "input": _STEADY,
            "predictions": {"risk": None},
            "expect": {"outcome": "review", "actions": ["review"]},
        },
    ),
)
