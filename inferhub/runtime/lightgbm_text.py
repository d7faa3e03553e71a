"""The structural scan of a LightGBM text model (`Booster.save_model`): its C++ reader trusts what it reads.

A child index out of range makes it read foreign memory, a cycle makes it predict for ever. So counts are bounded here,
every array has the length that goes with its tree, and the nodes of a tree must form one. What is refused for good:
linear trees and zeros that mean missing, which ONNX does not know.
"""

from collections.abc import Iterator

import numpy as np

from inferhub.errors import FieldError, InvalidModel
from inferhub.lib.describe import pointer, shorten
from inferhub.runtime.signature import Array

_MAGIC = (b"tree\n", b"tree\r\n")
_MOST_FEATURES = 10_000
_MOST_CLASSES = 1_000
_MOST_TREES = 20_000
_MOST_LEAVES = 2_000_000  # of all trees
_CATEGORICAL, _MISSING_ZERO = 1, 1  # bits 0 and 2-3 of a decision type
_MOST_DECISION_TYPE = 15
_REGRESSION = "regression regression_l1 huber fair poisson quantile mape gamma tweedie"
_OTHER = "binary multiclass multiclassova cross_entropy cross_entropy_lambda lambdarank rank_xendcg custom"
_OBJECTIVES = frozenset(f"{_REGRESSION} {_OTHER}".split())
_PER_SPLIT = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
_OF_TRAINING = ("split_gain", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count")

Section = dict[str, str]


def is_lightgbm_text(data: bytes) -> bool:
    """Whether a file begins as LightGBM's text models do."""
    return data.startswith(_MAGIC)


def scan_lightgbm_text(data: bytes) -> None:
    """Refuse what LightGBM's reader or the conversion could trip over. Raises InvalidModel: where, expected, got."""
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as exc:
        raise _wrong("", "UTF-8 text", f"a byte that is not, at {exc.start}") from None
    if "[zero_as_missing: 1]" in lines:
        raise _zero_as_missing()
    header, *trees = _sections(lines)
    features = _scan_header(header)
    if not 1 <= len(trees) <= _MOST_TREES:
        raise _wrong("", f"from 1 to {_MOST_TREES} trees", str(len(trees)))
    leaves = 0
    for index, tree in enumerate(trees):
        leaves += _scan_tree(tree, pointer("Tree", index), features)
        if leaves > _MOST_LEAVES:
            raise _wrong(pointer("Tree", index), f"at most {_MOST_LEAVES} leaves in all trees", "more")


def _sections(lines: list[str]) -> Iterator[Section]:
    """The header and each tree as key and value; what follows the trees (importances, parameters) is left."""
    section: Section = {}
    place = "/header"
    for line in lines[1:]:
        if line == "end of trees":
            yield section
            return
        if line.startswith("Tree="):
            yield section
            section, place = {}, pointer("Tree", shorten(line.removeprefix("Tree=")))
        key, equals, value = line.partition("=")
        if equals and key in section:
            raise _wrong(place, f"'{shorten(key)}' once", "it twice")
        if equals:
            section[key] = value
    raise _wrong("", "a line 'end of trees'", "a text that stops before it")


def _scan_header(header: Section) -> int:
    """The number of features."""
    classes = _whole(header, "num_class", "/header", most=_MOST_CLASSES)
    if _whole(header, "num_tree_per_iteration", "/header", most=_MOST_CLASSES) > classes:
        raise _wrong("/header/num_tree_per_iteration", f"at most {classes}, one for each class", "more")
    features = _whole(header, "max_feature_idx", "/header", least=0, most=_MOST_FEATURES - 1) + 1
    names = header.get("feature_names", "").split()
    if len(names) != features:
        raise _wrong("/header/feature_names", f"{features} names", str(len(names)))
    objective = (header.get("objective", "custom").split() or [""])[0]
    if objective not in _OBJECTIVES:
        raise _wrong("/header/objective", "an objective of LightGBM", f"'{shorten(objective)}'")
    return features


def _scan_tree(tree: Section, place: str, features: int) -> int:
    """The number of leaves."""
    leaves = _whole(tree, "num_leaves", place, most=_MOST_LEAVES)
    categories = _whole(tree, "num_cat", place, least=0, most=leaves)
    if tree.get("is_linear", "0").strip() != "0":
        cause = "leaves that are numbers (train without linear_tree: the conversion ignores linear leaves)"
        raise _wrong(f"{place}/is_linear", cause, "linear_tree")
    _finite(tree, "leaf_value", place, leaves)
    for key in (*_OF_TRAINING, "shrinkage"):
        _finite(tree, key, place, len(tree.get(key, "").split()))
    if leaves == 1:
        return 1
    feature, _, decision, left, right = (_finite(tree, key, place, leaves - 1) for key in _PER_SPLIT)
    _in_range(feature, f"{place}/split_feature", 0, features - 1)
    _in_range(decision, f"{place}/decision_type", 0, _MOST_DECISION_TYPE)
    decisions = decision.astype(np.int64)
    if ((decisions >> 2) & 3 == _MISSING_ZERO).any():
        raise _zero_as_missing()
    _scan_shape(np.concatenate([left, right]), place, leaves)
    _scan_categories(tree, place, categories, decisions & _CATEGORICAL == 1)
    return leaves


def _scan_shape(children: Array, place: str, leaves: int) -> None:
    """Every split but the first, and every leaf (counted -1, -2, ...), is the child of exactly one earlier split.

    LightGBM numbers splits in the order in which it made them, so a child's number is above its parent's.
    """
    wanted = np.concatenate([np.arange(-leaves, 0), np.arange(1, leaves - 1)])
    if not np.array_equal(np.sort(children), wanted):
        expected = f"{leaves} leaves and {leaves - 1} splits, each but the root the child of one split"
        raise _wrong(f"{place}/left_child", expected, "another set of children")
    parents = np.tile(np.arange(leaves - 1), 2)
    if ((children >= 0) & (children <= parents)).any():
        raise _wrong(f"{place}/left_child", "children after their parents", "a cycle")


def _scan_categories(tree: Section, place: str, count: int, is_categorical: Array) -> None:
    """The bit sets of categorical splits: as many as are declared, within their array."""
    used = _finite(tree, "threshold", place, len(is_categorical))[is_categorical]
    if not count and len(used):
        raise _wrong(f"{place}/num_cat", "sets of categories for the categorical splits", "none")
    _in_range(used, f"{place}/threshold", 0, max(count - 1, 0))
    if count:
        words = len(tree.get("cat_threshold", "").split())
        bounds = _finite(tree, "cat_boundaries", place, count + 1)
        _in_range(_finite(tree, "cat_threshold", place, words), f"{place}/cat_threshold", 0, 2**32 - 1)
        if bounds[0] != 0 or bounds[-1] != words or (np.diff(bounds) < 1).any():
            raise _wrong(f"{place}/cat_boundaries", f"rising numbers from 0 to {words}", "others")


def _whole(section: Section, key: str, place: str, *, most: int, least: int = 1) -> int:
    text = section.get(key, "").strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 12 and least <= int(text) <= most):
        raise _wrong(f"{place}/{key}", f"a whole number from {least} to {most}", f"'{shorten(text)}'")
    return int(text)


def _finite(section: Section, key: str, place: str, count: int) -> Array:
    words = section.get(key, "").split()
    if len(words) != count:
        raise _wrong(f"{place}/{key}", f"{count} numbers", str(len(words)))
    try:
        numbers = np.array(words, np.float64)
    except ValueError:
        raise _wrong(f"{place}/{key}", "numbers", "other words") from None
    if not np.isfinite(numbers).all():
        raise _wrong(f"{place}/{key}", "finite numbers", "NaN or infinity")
    return numbers


def _in_range(numbers: Array, place: str, least: int, most: int) -> None:
    bad = numbers[(numbers < least) | (numbers > most) | (numbers != np.floor(numbers))]
    if len(bad):
        raise _wrong(place, f"whole numbers from {least} to {most}", f"{bad[0]:.12g}")


def _zero_as_missing() -> InvalidModel:
    expected = "missing values coded as NaN (train without zero_as_missing: ONNX does not know it)"
    return _wrong("/parameters/zero_as_missing", expected, "zeros that mean missing")


def _wrong(place: str, expected: str, got: str) -> InvalidModel:
    return InvalidModel(errors=[FieldError(pointer=place, expected=expected, got=got)])
