import pytest

from inferhub.accounts.models import User
from inferhub.demo.seed import claim_hub
from inferhub.errors import Conflict

pytestmark = pytest.mark.django_db


def test_the_demo_takes_an_empty_hub_and_knows_it_again() -> None:
    claim_hub()
    User.objects.create_user("visitor")
    claim_hub()


def test_the_demo_leaves_a_hub_alone_that_holds_data_of_its_own() -> None:
    User.objects.create_user("operator")
    with pytest.raises(Conflict, match="INFERHUB_HOME to an empty folder"):
        claim_hub()
