"""Messages of any form at all."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inferhub.api.v2.infer_request import read_infer_request
from inferhub.errors import InferhubError
from inferhub.runtime.signature import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="a", datatype="FP32", shape=(None, 2)),
        TensorSpec(name="b", datatype="BYTES", shape=(None,), is_optional=True),
    ),
    outputs=(TensorSpec(name="y", datatype="FP32", shape=(None,)),),
)
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(-1, 2**63), max_size=3),
    st.just({}),
)
NAMES = st.sampled_from(["a", "b", "y", "nobody"])
PARAMETERS = st.dictionaries(st.sampled_from(["binary_data_size", "binary_data", "classification"]), ODD, max_size=2)
TENSOR = st.fixed_dictionaries(
    {},
    optional={
        "name": NAMES | ODD,
        "datatype": st.sampled_from(["FP32", "BYTES", "FP99"]) | ODD,
        "shape": st.sampled_from([[1, 2], [1], [0, 2]]) | ODD,
        "data": st.sampled_from([[1.0, 2.0], ["a"], [[1.0, 2.0]], []]) | ODD,
        "parameters": PARAMETERS | ODD,
    },
)
MESSAGE = st.fixed_dictionaries(
    {"inputs": st.lists(TENSOR | ODD, max_size=3) | ODD},
    optional={
        "outputs": st.lists(TENSOR | ODD, max_size=2) | ODD,
        "parameters": st.dictionaries(st.sampled_from(["binary_data_output", "alias"]), ODD) | ODD,
        "id": ODD,
    },
)


@settings(max_examples=400)
@given(MESSAGE | ODD, st.binary(max_size=16))
def test_an_odd_message_is_an_explained_error_and_never_a_crash(message: Any, raw: bytes) -> None:
    try:
        asked = read_infer_request(message, memoryview(raw))
        asked.wanted(SIGNATURE)
        feeds = asked.feeds(SIGNATURE, max_bytes=1 << 20)
    except InferhubError:
        return
    SIGNATURE.check_feeds(feeds)
