"""What a process makes of the rows of the aliases, without its thread."""

import pytest

from inferhub.audit.models import AuditEvent
from inferhub.inference.following import RouteFollower
from inferhub.registry.models import Alias, ModelVersion
from inferhub.registry.queries import AliasRow, Route, RouteTable, alias_rows
from tests.hub_fixtures import register_direct
from tests.models import fragile_model, linear_model
from tests.serving.versions import damage, heal, move, served, three_versions

pytestmark = pytest.mark.django_db


class Process:
    """One that serves version 1 already."""

    def __init__(self) -> None:
        self.table = RouteTable()
        self.follower = RouteFollower(self.table)
        self.look()

    def look(self) -> None:
        self.follower.take_over(AliasRow(*row) for row in alias_rows())

    @property
    def route(self) -> Route:
        route = self.table.get(("price-model", "champion"))
        assert route is not None
        return route


@pytest.fixture
def versions(db: None) -> list[ModelVersion]:
    return three_versions()


def test_a_refusal_is_audited_by_the_first_process_that_sees_it(versions: list[ModelVersion]) -> None:
    processes = [Process(), Process()]
    damage(versions[1])
    move(versions[1])
    for process in processes:
        process.look()
    heal(versions[1])
    assert [process.route.version.number for process in processes] == [1, 1]
    assert AuditEvent.objects.filter(action="alias.refused").count() == 1


def test_a_champion_that_does_not_load_at_the_start_is_told_of_and_harms_no_other_model(
    versions: list[ModelVersion],
) -> None:
    other = register_direct(name="other", task="regression", data=linear_model(7), alias="champion")
    damage(versions[0])
    process = Process()
    (refusal,) = process.follower.unserved()
    assert "was changed" in refusal.reason
    assert [plan.id for plan in process.table.champions()] == [other.pk]
    heal(versions[0])


def test_an_alias_that_moves_back_is_refused_no_more(versions: list[ModelVersion]) -> None:
    process = Process()
    damage(versions[1])
    move(versions[1])
    process.look()
    assert [refusal.row.version_id for refusal in process.follower.refusals.values()] == [versions[1].pk]
    heal(versions[1])
    move(versions[0])
    process.look()
    assert not process.follower.refusals


def test_a_canary_that_does_not_load_leaves_the_alias_as_it_was(versions: list[ModelVersion]) -> None:
    process = Process()
    damage(versions[1])
    Alias.objects.update(canary_version=versions[1], canary_percent=50)
    process.look()
    heal(versions[1])
    assert process.route.canary is None


def test_a_shadow_that_does_not_load_holds_up_no_move(versions: list[ModelVersion]) -> None:
    process = Process()
    damage(versions[2])
    move(versions[1])
    Alias.objects.update(shadow_version=versions[2])
    process.look()
    heal(versions[2])
    assert process.route.version.number == 2


def test_a_version_that_fails_on_made_up_values_is_served_all_the_same(versions: list[ModelVersion]) -> None:
    process = Process()
    fragile = register_direct(name="price-model", task="regression", data=fragile_model())
    move(fragile)
    process.look()
    assert process.route.version.number == fragile.number


def test_what_the_process_changed_itself_is_visible_at_once_where_nobody_follows(versions: list[ModelVersion]) -> None:
    for version in (versions[1], versions[2]):
        move(version)
        assert served() == version.number
