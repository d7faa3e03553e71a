"""What this library raises when it can say what is wrong; everything else is a bug or the operating system's word."""


class RecommenderError(Exception):
    """The root of this library's errors."""


class InvalidData(RecommenderError, ValueError):
    """A file, frame or argument is not what was asked for; the message names it, what was expected and what came."""


class NotFitted(RecommenderError):
    """A model was asked for an answer before `fit`."""


class ExportMismatch(RecommenderError):
    """The ONNX form of a model does not give the native answers, or the model has no ONNX form.

    `cause` is a sentence for the person who trained the model: what is wrong and what to do about it.
    """

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)
