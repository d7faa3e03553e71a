"""A peer of the benchmark `serving`: the Open Inference Protocol's JSON on FastAPI, as a good team would write it.

    MODEL=model.onnx uvicorn benchmarks.serving_fastapi:app --workers 2

No API keys and no checks beside those of numpy and ONNX Runtime. The route is `async`: the model answers in
microseconds, and a thread for it would cost more.
"""

import os

import numpy as np
import onnxruntime as ort
import orjson
from fastapi import FastAPI, Request, Response

_options = ort.SessionOptions()
_options.intra_op_num_threads = 1
_options.inter_op_num_threads = 1
_session = ort.InferenceSession(os.environ["MODEL"], _options, providers=["CPUExecutionProvider"])
_output = _session.get_outputs()[0].name

app = FastAPI()


@app.post("/v2/models/{name}/infer")
async def infer(name: str, request: Request) -> Response:
    given = orjson.loads(await request.body())["inputs"][0]
    array = np.array(given["data"], np.float32).reshape(given["shape"])
    answer = _session.run([_output], {given["name"]: array})[0]
    output = {"name": _output, "datatype": "FP32", "shape": list(answer.shape), "data": answer.reshape(-1)}
    document = {"model_name": name, "model_version": "1", "outputs": [output]}
    return Response(orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")
