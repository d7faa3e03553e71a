import os
from pathlib import Path

import pytest

from tests.demo.run import ROOT, check_demo

pytestmark = pytest.mark.data


def test_the_whole_job_runs_on_online_retail_as_it_is(tmp_path: Path) -> None:
    folder = Path(os.environ.get("REAL_DATA", ROOT.parent / "shared" / "data"))
    summary, _ = check_demo(tmp_path, "--data", str(folder / "online_retail" / "online_retail.csv.gz"))
    assert summary["problems"] == []
    assert summary["data"] == "online-retail"
    assert summary["bulk"]["customers"] == 4334
