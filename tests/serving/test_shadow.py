"""The shadow of an alias runs beside its answers, and harms nobody."""

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone

from inferhub.accounts.models import User
from inferhub.inference import shadowing
from inferhub.inference.services import predict
from inferhub.inference.shadowing import MOST_WAITING, Shadows, shadows
from inferhub.jobs.tasks import forget_old_work
from inferhub.recommendations.services import recommend
from inferhub.registry import serving
from inferhub.registry.models import Alias, ModelVersion, ShadowComparison
from inferhub.registry.shadows import shadow_report
from tests.hub_fixtures import Api, register_direct
from tests.models import fixed_recommender, fragile_model, linear_model

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_notes() -> None:
    shadows.reset()


def cast_shadow(data: bytes, model: str = "price-model", task: str = "regression") -> Alias:
    """Register `data` and let it run beside the champion."""
    version = register_direct(name=model, task=task, data=data)
    Alias.objects.filter(model__name=model).update(shadow_version=version)
    return Alias.objects.get(model__name=model)


def ask(price: float, key: str = "") -> Any:
    return predict(model="price-model", rows=[{"price": price}], key=key)


def test_the_answer_is_the_champions_and_the_difference_is_written_down(price_model: ModelVersion) -> None:
    alias = cast_shadow(linear_model(2.25))
    assert ask(10, key="ann").rows == [{"value": 21.0}]
    shadows.work_off()
    found = ShadowComparison.objects.get()
    assert (found.alias, found.version.number, found.shadow_version.number) == (alias, 1, 2)
    assert (found.largest_difference, found.is_equal, found.is_flipped) == (2.5, False, False)
    assert found.shadow_ms is not None


def test_tensors_are_compared_as_well(api: Api, price_model: ModelVersion) -> None:
    cast_shadow(linear_model(2.25))
    tensor = {"name": "price", "datatype": "FP32", "shape": [2, 1], "data": [10, 20]}
    answer = api._client.post(
        "/v2/models/price-model/infer",
        {"inputs": [tensor]},
        content_type="application/json",
        headers={"Authorization": f"Bearer {api.secret}"},
    )
    assert answer.json()["outputs"][0]["data"] == [21, 41]
    shadows.work_off()
    assert ShadowComparison.objects.get().largest_difference == 5


def test_recommendations_are_compared_as_well(scenario: str) -> None:
    cast_shadow(fixed_recommender(best=6), "items", "recommendation")
    assert [item["score"] for item in recommend(scenario=scenario, user_id="ann").items] == [5, 4, 3]
    shadows.work_off()
    assert ShadowComparison.objects.get().largest_difference == 1


def test_a_shadow_that_fails_harms_nobody_and_its_reason_is_kept(price_model: ModelVersion) -> None:
    alias = cast_shadow(fragile_model())
    assert ask(10).rows == [{"value": 21.0}]
    shadows.work_off()
    report = shadow_report(alias)
    assert (report.requests, report.compared, report.failed) == (1, 0, 1)
    assert "Gather" in report.problem


def test_a_shadow_with_a_fault_of_ours_is_a_finding_too(
    price_model: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    cast_shadow(linear_model(3))
    ask(10)
    monkeypatch.setattr(shadowing, "compare", lambda *_: 1 / 0)
    shadows.work_off()
    assert ShadowComparison.objects.get().problem == "unforeseen ZeroDivisionError; see the log"


def test_requests_beyond_the_queue_are_counted_and_left_out(price_model: ModelVersion) -> None:
    alias = cast_shadow(linear_model(3))
    for price in range(MOST_WAITING + 5):
        assert ask(price).rows == [{"value": 2 * price + 1}]
    shadows.work_off()
    report = shadow_report(alias)
    assert (report.requests, report.left_out) == (MOST_WAITING, 5)


def test_a_large_request_is_left_out(price_model: ModelVersion) -> None:
    alias = cast_shadow(linear_model(3))
    predict(model="price-model", rows=[{"price": 1}] * 2000)
    ask(1)
    shadows.work_off()
    report = shadow_report(alias)
    assert (report.requests, report.left_out) == (1, 1)


def test_a_slow_shadow_holds_up_no_answer(price_model: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of the shadows hangs in its first run until every answer is there."""
    own, hangs = Shadows(), threading.Event()
    own.is_on = True
    stored: list[ShadowComparison] = []
    monkeypatch.setattr("inferhub.inference.services.shadows", own)
    monkeypatch.setattr(own, "_compared", lambda _: hangs.wait() and ShadowComparison())
    monkeypatch.setattr(shadowing, "store_comparisons", stored.extend)
    monkeypatch.setattr(shadowing, "close_old_connections", lambda: None)
    cast_shadow(linear_model(3))
    assert [ask(price).rows[0]["value"] for price in range(10)] == [2 * price + 1 for price in range(10)]
    assert not stored
    hangs.set()
    ends = time.monotonic() + 20
    while len(stored) < 10 and time.monotonic() < ends:
        time.sleep(0.02)
    assert len(stored) == 10


def test_a_version_that_answers_already_is_not_run_again(price_model: ModelVersion) -> None:
    Alias.objects.update(shadow_version=price_model)
    ask(1)
    shadows.work_off()
    assert not ShadowComparison.objects.exists()


def test_a_failed_request_has_no_shadow(price_model: ModelVersion) -> None:
    cast_shadow(linear_model(3))
    with pytest.raises(Exception, match="price"):
        predict(model="price-model", rows=[{"prize": 1}])
    shadows.work_off()
    assert not ShadowComparison.objects.exists()


@pytest.fixture
def compared(price_model: ModelVersion) -> Alias:
    """Prices 0, 0, 1, 10: differences of 0, 0, 0.5 and 5."""
    alias = cast_shadow(linear_model(2.5))
    for price in (0, 0, 1, 10):
        ask(price)
    shadows.work_off()
    return alias


def test_the_report_counts(compared: Alias) -> None:
    report = shadow_report(compared)
    assert (report.shadow_version, report.requests, report.equal, report.flipped) == (2, 4, 2, 0)
    assert (report.share_equal, report.largest_difference) == (0.5, 5.0)
    assert report.differences == (2, 0, 0, 0, 0, 0, 0, 1, 1)
    assert report.version_ms is not None


def test_the_report_may_begin_later(compared: Alias) -> None:
    assert shadow_report(compared, timezone.now() + timedelta(hours=1)).requests == 0


def test_the_last_shadow_is_reported_when_there_is_none_any_more(compared: Alias) -> None:
    compared.shadow_version = None
    compared.save()
    assert shadow_report(compared).requests == 4


def test_rest_gives_the_report(api: Api, compared: Alias) -> None:
    found = api.get("models/price-model/aliases/champion/shadow").json()
    assert (found["requests"], found["share_equal"], found["differences"][-1]) == (4, 0.5, {"up_to": None, "count": 1})
    later = (timezone.now() + timedelta(hours=1)).isoformat().replace("+", "%2B")
    assert api.get(f"models/price-model/aliases/champion/shadow?since={later}").json()["requests"] == 0


@pytest.mark.parametrize("since", ["yesterday", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"])
def test_a_time_that_is_none_is_named(api: Api, compared: Alias, since: str) -> None:
    answer = api.get(f"models/price-model/aliases/champion/shadow?since={since}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/since")


def test_an_alias_that_is_not_there_is_a_404(api: Api, price_model: ModelVersion) -> None:
    assert api.get("models/price-model/aliases/other/shadow").status_code == 404


def test_the_page_of_the_alias_shows_numbers_and_a_picture(compared: Alias) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("alice"))
    page = client.get(f"/registry/alias/{compared.pk}/change/").content.decode()
    assert "2 of 4 (50.0%)" in page
    assert "0: 2, ≤ 1e-06: 0" in page


def test_comparisons_are_forgotten_after_a_time(compared: Alias) -> None:
    ShadowComparison.objects.filter(largest_difference=0).update(created_at=timezone.now() - timedelta(days=8))
    with override_settings(CONFIG=replace(settings.CONFIG, keep_comparisons_days=7)):
        forget_old_work()
    assert shadow_report(compared).requests == 2


def test_an_alias_keeps_only_its_newest_comparisons(compared: Alias, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_MOST_KEPT", 3)
    forget_old_work()
    assert sorted(ShadowComparison.objects.values_list("largest_difference", flat=True)) == [0, 0.5, 5]
