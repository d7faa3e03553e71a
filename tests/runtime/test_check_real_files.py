"""Files that others made: the good are accepted, the malformed refused with a reason."""

import locale
import os
from pathlib import Path

import pytest

from inferhub.errors import InvalidModel
from inferhub.runtime.check import check_model

pytestmark = pytest.mark.data

REPOSITORY = Path(__file__).resolve().parents[2]
ONNX = Path(os.environ.get("REAL_DATA", str(REPOSITORY.parent / "shared" / "data"))).parent / "onnx"


def files(folder: str) -> list[Path]:
    found = sorted((ONNX / folder).glob("*.onnx"))
    if not found:
        raise FileNotFoundError(f"No ONNX files in {ONNX / folder}: set REAL_DATA to the folder of the real data.")
    return found


def has_locale(name: str) -> bool:
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        locale.setlocale(locale.LC_CTYPE, name)
    except locale.Error:
        return False
    finally:
        locale.setlocale(locale.LC_CTYPE, before)
    return True


def test_every_malformed_file_is_refused() -> None:
    for path in files("malformed"):
        with pytest.raises(InvalidModel, match="xpected"):
            check_model(path)


def test_every_real_file_is_accepted_and_runs() -> None:
    for path in files("real"):
        if path.name != "pipeline_tfidf.onnx":
            assert check_model(path).trial == "ran", path.name


def test_a_text_model_loads_where_its_locale_is_and_else_names_the_cure() -> None:
    path = ONNX / "real" / "pipeline_tfidf.onnx"
    if has_locale("en_US.UTF-8"):
        assert check_model(path).trial == "ran"
    else:
        with pytest.raises(InvalidModel, match=r"locale='C.UTF-8'"):
            check_model(path)
