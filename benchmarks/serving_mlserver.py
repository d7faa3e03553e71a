"""A peer of the benchmark `serving`: an ONNX Runtime session as a runtime of MLServer, which has none of its own."""

import os

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput


class OnnxModel(MLModel):
    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self._output = self._session.get_outputs()[0].name
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        given = payload.inputs[0]
        array = np.array(given.data.root, np.float32).reshape(given.shape)
        answer = self._session.run([self._output], {given.name: array})[0]
        shape = list(answer.shape)
        output = ResponseOutput(name=self._output, shape=shape, datatype="FP32", data=answer.reshape(-1).tolist())
        return InferenceResponse(model_name=self.name, outputs=[output])
