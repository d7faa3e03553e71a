"""Names for the array types that the whole library passes around."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

AnyArray = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int32]
BoolArray = npt.NDArray[np.bool_]
StringArray = npt.NDArray[np.object_]  # of str: what ONNX Runtime takes and gives for string tensors
CsrMatrix = sparse.csr_matrix[Any]
