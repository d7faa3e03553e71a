"""The Open Inference Protocol, version 2, as its clients speak it (KServe, Triton): plain views, no REST framework.

https://github.com/kserve/open-inference-protocol and, for binary tensors, statistics, the repository and the
configuration, the extensions documented with Triton Inference Server.
"""
