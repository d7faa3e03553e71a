"""The operators that an uploaded graph may use.

ONNX Runtime has no such list of its own. Left out on purpose: everything that holds a sub-graph (If, Loop, Scan,
SequenceMap), sequences and optionals (no protocol here can carry them), random numbers (a decision must replay bit for
bit), training, and all contrib operators but the two that scikit-learn's text and distance models need.
"""

from collections.abc import Iterable, Mapping

_ARITHMETIC = """
    Abs Acos Acosh Add Asin Asinh Atan Atanh Ceil Clip Cos Cosh CumSum Div Einsum Erf Exp Floor Gemm Log MatMul Max Mean
    Min Mod Mul Neg Pow Reciprocal Round Sign Sin Sinh Sqrt Sub Sum Tan Tanh
"""
_COMPARISON = "And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Where Xor"
_SHAPE = """
    Cast CastLike Compress Concat Constant ConstantOfShape Expand EyeLike Flatten Gather GatherElements GatherND
    Identity NonZero OneHot Pad Range Reshape ReverseSequence Scatter ScatterElements ScatterND Shape Size Slice Split
    Squeeze Tile TopK Transpose Trilu Unique Unsqueeze
"""
_REDUCTION = """
    ArgMax ArgMin ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare
"""
_NEURAL = """
    Attention AveragePool BatchNormalization Celu CenterCropPad Conv ConvInteger ConvTranspose DepthToSpace
    DequantizeLinear Dropout DynamicQuantizeLinear Elu GRU Gelu GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample
    GroupNormalization HardSigmoid HardSwish Hardmax InstanceNormalization LRN LSTM LayerNormalization LeakyRelu
    LogSoftmax LpNormalization LpPool MatMulInteger MaxPool MeanVarianceNormalization Mish NonMaxSuppression PRelu
    QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN Relu Resize RoiAlign RotaryEmbedding Selu Shrink
    Sigmoid Softmax Softplus Softsign SpaceToDepth Swish ThresholdedRelu Upsample
"""
_TEXT = "RegexFullMatch StringConcat StringNormalizer TfIdfVectorizer"
_CLASSICAL = """
    ArrayFeatureExtractor Binarizer CategoryMapper FeatureVectorizer Imputer LabelEncoder LinearClassifier
    LinearRegressor Normalizer OneHotEncoder SVMClassifier SVMRegressor Scaler TreeEnsemble TreeEnsembleClassifier
    TreeEnsembleRegressor ZipMap
"""

ALLOWED_OPERATORS: Mapping[str, frozenset[str]] = {
    "": frozenset(" ".join([_ARITHMETIC, _COMPARISON, _SHAPE, _REDUCTION, _NEURAL, _TEXT]).split()),
    "ai.onnx.ml": frozenset(_CLASSICAL.split()),
    "com.microsoft": frozenset({"CDist", "Tokenizer"}),
}
"""Operator names by domain; the default domain is `""` (a graph may also spell it `ai.onnx`)."""

CURES: Mapping[str, str] = {
    "Scan": "for nearest neighbours and Gaussian processes convert with options={'optim': 'cdist'}",
}
"""What to do about an operator that is not allowed, where something can be done."""

_DEFAULT_DOMAIN = "ai.onnx"


def plain_domain(domain: str) -> str:
    """The domain as the keys of `ALLOWED_OPERATORS` spell it."""
    return "" if domain == _DEFAULT_DOMAIN else domain


def operator_name(domain: str, operator: str) -> str:
    """An operator for people.

    >>> operator_name("", "Add"), operator_name("ai.onnx.ml", "Scaler")
    ('Add', 'ai.onnx.ml.Scaler')
    """
    return f"{domain}.{operator}" if plain_domain(domain) else operator


def widened(names: Iterable[str]) -> Mapping[str, frozenset[str]]:
    """The allow-list with more operators, named as `operator_name` names them.

    >>> "Loop" in widened(["Loop"])[""], "Loop" in ALLOWED_OPERATORS[""]
    (True, False)
    """
    wider = dict(ALLOWED_OPERATORS)
    for name in names:
        domain, _, operator = name.rpartition(".")
        domain = plain_domain(domain)
        wider[domain] = wider.get(domain, frozenset()) | {operator}
    return wider
