"""The engine: sessions, rows, tensors, the upload check. Pure; see the README for the direction of imports."""

import os

# ONNX Runtime 1.32 keeps a database of telemetry in the home folder and sends it to its makers, from the moment it is
# imported. Nothing leaves the building: this must be set before, and here it is.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
