from pathlib import Path

from tests.demo.run import check_demo

KEYS = {"models", "recommendation", "regression", "spam", "decision", "actions_delivered", "bulk", "seconds_total"}


def test_the_whole_job_runs_on_a_generated_shop_and_again_on_what_it_left(tmp_path: Path) -> None:
    first, _ = check_demo(tmp_path)
    assert first.keys() >= KEYS
    assert first["problems"] == []
    assert [model["name"] for model in first["models"]] == ["recommendations", "order-value", "spam"]
    assert all(model["parity"]["max_abs_diff"] < 1e-2 for model in first["models"])
    assert first["actions_delivered"] >= 3
    assert first["bulk"]["customers"] == 2000
    again, said = check_demo(tmp_path)
    assert "registered already" in said
    assert {model["digest"] for model in again["models"]} == {model["digest"] for model in first["models"]}
    assert again["decision"]["decision_id"] != first["decision"]["decision_id"]
