import pytest

from inferhub.errors import FieldError, InferhubError, InvalidInput, NotFound, error_from_dict, error_to_dict
from inferhub.runtime.pool import ArtifactChanged


@pytest.mark.parametrize(
    "error", [NotFound("no"), InvalidInput(errors=[FieldError(pointer="/a", expected="b", got="c")])]
)
def test_a_stored_error_comes_back_as_it_was(error: InferhubError) -> None:
    again = error_from_dict(error_to_dict(error))
    assert (type(again), str(again)) == (type(error), str(error))
    assert getattr(again, "errors", ()) == getattr(error, "errors", ())


def test_an_error_of_a_family_further_down_comes_back_as_its_nearest_ancestor() -> None:
    again = error_from_dict(error_to_dict(ArtifactChanged("changed")))
    assert (type(again).__name__, str(again)) == ("ModelFailed", "changed")
