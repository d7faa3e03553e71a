"""A spam filter on the SMS collection that loads anywhere, whatever the locale.

python examples/filter_spam.py [FOLDER OF THE REAL DATA]
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from rich.console import Console

from recommender import export, fit_text_classifier

DATA = Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data")
console = Console()

lines = (DATA / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").rstrip("\n").split("\n")
labels, texts = zip(*(line.split("\t", 1) for line in lines), strict=True)
model = fit_text_classifier(texts, labels, positive="spam")
exported = export(model, texts)
proof = exported.certificate
console.print(
    f"{proof.rows:,} texts compared, largest difference {proof.max_abs_diff:.1g}, {proof.flips} labels differ"
)

session = onnxruntime.InferenceSession(exported.onnx_bytes)
messages = np.array([["WINNER!! Claim your £900 prize now, call 09061701461"], ["Будешь дома вечером?"]], dtype=object)
label, probability, _ = session.run(None, {"text": messages})
for message, name, chance in zip(messages[:, 0], label, probability[:, 0], strict=True):
    console.print(f"{name} ({chance:.3f}): {message}")
