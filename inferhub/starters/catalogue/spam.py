"""A spam filter for the mailbox of a shop."""

from inferhub.starters.starter import Document, Parts, Sample, Starter, fields, flag, identifier, review, table

SPAM_TEXT = "Congratulations! You were chosen for a free prize of 1000. Click http://prize.example now to claim it"
_USUAL_TEXT = "Hello, my parcel has not arrived yet, order O104711. Can you tell me where it is? Thanks, Mara"

RULES = table(
    {
        "prediction.spam.probability": ("number", "Probability of spam"),
        "input.is_customer": ("boolean", "Known customer"),
    },
    {"outcome": "Outcome", "folder": "Folder"},
    [
        [">= 0.9", "false, null", '"block"', '"spam"', "surely spam, from a stranger"],
        [">= 0.5", "true", '"review"', '"to-check"', "looks like spam, but comes from a customer"],
        [">= 0.5", "", '"review"', '"to-check"', "perhaps spam: a person looks"],
        ["", "true", '"deliver"', '"customers"', "a customer writes"],
        ["", "", '"deliver"', '"inbox"', "everything else"],
    ],
    optional=["input.is_customer"],
)


def _message(text: str, *, is_customer: bool, message_id: str = "mail-1") -> Document:
    return {"message_id": message_id, "text": text, "is_customer": is_customer}


def _says(probability: float) -> Document:
    return {"spam": {"label": "spam" if probability >= 0.5 else "ham", "probability": probability}}


STARTER = Starter(
    name="spam-filter",
    title="Spam filter",
    audience="Customer service",
    summary="Keeps spam out of the shop's mailbox, and never blocks a customer without a person looking.",
    story=(
        "A text model reads each message letter by letter, so that disguised words (pr1ze, v-o-u-c-h-e-r) do not get "
        "past it, and says how probably it is spam. It has learned from 1,200 invented messages: questions, complaints "
        "and thanks to a shop, in several languages, and the spam between them.\n\n"
        "The rules turn that number into what the mail gateway does: block what is surely spam and comes from a "
        "stranger, ask a person where the model is in doubt or where a customer would be blocked, deliver the rest."
    ),
    parts=Parts(
        input="A message, and whether a customer wrote it",
        model="Spam or not: n-grams and logistic regression",
        rules="5 rows: how sure, and who writes",
        actions="Block, deliver, or a person looks",
    ),
    task="classification",
    rules=RULES,
    workflow={
        "input": fields(
            optional=["is_customer"],
            message_id=identifier("Message", "Your own id of the message.", "mail-4711"),
            text={
                "type": "string",
                "title": "Text",
                "description": "Subject and body as plain text.",
                "maxLength": 20_000,
                "examples": [SPAM_TEXT],
            },
            is_customer=flag("Known customer", "Whether the sender has ordered before; a stranger if not said."),
        ),
        "subject": "message_id",
        "predictions": [{"name": "spam", "inputs": {"text": "text"}}],
        "actions": {"review": [review("Is this message spam?", approve="block", reject="deliver")]},
    },
    samples=(
        Sample(title="A prize to be claimed", body=_message(SPAM_TEXT, is_customer=False)),
        Sample(title="The same words, sent on by a customer", body=_message(SPAM_TEXT, is_customer=True)),
        Sample(title="Where is my parcel?", body=_message(_USUAL_TEXT, is_customer=True)),
    ),
    tests=(
        {
            "name": "A prize from a stranger is blocked",
            "input": _message(SPAM_TEXT, is_customer=False),
            "expect": {"outcome": "block", "actions": []},
        },
        {
            "name": "A question about a parcel is delivered",
            "input": _message(_USUAL_TEXT, is_customer=True),
            "expect": {"outcome": "deliver", "outputs": {"folder": "customers"}, "actions": []},
        },
        {
            "name": "A customer is never blocked",
            "input": _message("Sent on, is this from you?", is_customer=True),
            "predictions": _says(0.99),
            "expect": {"outcome": "review", "actions": ["review"]},
        },
        {
            "name": "Exactly 0.9 from a stranger is blocked",
            "input": _message("Win", is_customer=False),
            "predictions": _says(0.9),
            "expect": {"outcome": "block"},
        },
        {
            "name": "A sender of whom nothing is said counts as a stranger",
            "input": {"message_id": "mail-1", "text": "Win"},
            "predictions": _says(0.95),
            "expect": {"outcome": "block"},
        },
        {
            "name": "In doubt a person looks",
            "input": _message("Is the offer still valid?", is_customer=False),
            "predictions": _says(0.6),
            "expect": {"outcome": "review", "actions": ["review"]},
        },
        {
            "name": "A stranger's question goes to the inbox",
            "input": _message("Do you deliver to the islands?", is_customer=False),
            "predictions": _says(0.05),
            "expect": {"outcome": "deliver", "outputs": {"folder": "inbox"}},
        },
        {
            "name": "Where the model fails a person looks",
            "input": _message("Hello", is_customer=False),
            "predictions": {"spam": None},
            "expect": {"outcome": "review", "actions": ["review"]},
        },
    ),
)
