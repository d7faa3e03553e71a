"""Recommendations with boosts: a scenario for the shop's home page."""

from inferhub.starters.starter import Parts, Sample, Starter, table

BOOSTS = table(
    {
        "item.category": ("string", "Category"),
        "item.price": ("number", "Price"),
    },
    {"factor": "Factor"},
    [
        ['"Candles and scent"', "", "2", "this month's campaign: candles and scent"],
        ['"Garden"', ">= 40", "0", "large garden things are not shown in winter"],
        ['"Garden"', "", "0.5", "other garden things move back"],
        ["", "< 3", "0.5", "articles that hardly pay for their parcel move back"],
        ["", "", "1", "everything else stays where the model puts it"],
    ],
)

STARTER = Starter(
    name="recommendations",
    title="Recommendations with boosts",
    audience="Web shops",
    summary="What each customer may want next, in the order that the model finds and your campaigns adjust.",
    story=(
        "A recommender learns from a year of purchases of an invented shop: what is bought together, and what people "
        "buy again. It answers for a customer whom you know, or for any list of articles, in about a millisecond, and "
        "says which purchase each recommendation goes back to.\n\n"
        "Boosts are the part that category managers own. They are rows of a rule set that look at an article's "
        "category and price and give a factor: 2 moves an article up as if it stood at half its place (the sixth "
        "counts as the third), 0.5 moves it back, 0 takes it off the list, and 1 leaves it "
        "alone. The answer says which row moved what.\n\n"
        "The catalogue and the purchases of the invented shop are loaded as well. If this hub holds a catalogue of its "
        "own, the starter leaves it untouched and does not install."
    ),
    parts=Parts(
        input="A customer, or some articles",
        model="EASE recommender, one ONNX file",
        rules="Boosts by category and price",
        actions="A list for the home page",
    ),
    task="recommendation",
    rules=BOOSTS,
    samples=(
        Sample(title="A visitor who looked at coffee and candles", body={"history": ["CT-012", "CS-007"], "k": 8}),
        Sample(title="A visitor of whom nothing is known", body={"history": [], "k": 8}),
        Sample(title="A customer by id", body={"user_id": "C10001", "k": 8}),
    ),
    tests=(
        {
            "name": "Candles are in the campaign",
            "facts": {"item": {"category": "Candles and scent", "price": 12.45}},
            "expect": {"outputs": {"factor": 2}, "rule": "this month's campaign: candles and scent"},
        },
        {
            "name": "A garden bench is not shown",
            "facts": {"item": {"category": "Garden", "price": 89.95}},
            "expect": {"outputs": {"factor": 0}},
        },
        {
            "name": "A watering can moves back",
            "facts": {"item": {"category": "Garden", "price": 18.95}},
            "expect": {"outputs": {"factor": 0.5}},
        },
        {
            "name": "A garden thing of exactly 40 counts as large",
            "facts": {"item": {"category": "Garden", "price": 40}},
            "expect": {"outputs": {"factor": 0}},
        },
        {
            "name": "A cheap bar of chocolate moves back",
            "facts": {"item": {"category": "Pantry", "price": 2.95}},
            "expect": {"outputs": {"factor": 0.5}},
        },
        {
            "name": "Coffee stays where the model puts it",
            "facts": {"item": {"category": "Coffee and tea", "price": 8.45}},
            "expect": {"outputs": {"factor": 1}},
        },
        {
            "name": "An article without a price is not judged",
            "facts": {"item": {"category": "Pantry", "price": None}},
            "expect": {"undecided": True},
        },
    ),
)
