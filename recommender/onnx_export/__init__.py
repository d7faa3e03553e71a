"""ONNX forms of this library's models, each proved equal to the native one before anybody gets it."""

from recommender.onnx_export.certificate import Certificate
from recommender.onnx_export.exporting import Export, export
from recommender.onnx_export.feeds import history_feeds
from recommender.onnx_export.signature import Signature, TensorSpec

__all__ = ["Certificate", "Export", "Signature", "TensorSpec", "export", "history_feeds"]
