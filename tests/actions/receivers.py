"""Shop systems that do not always do as they should."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson

from inferhub.decisions.endpoints import save_endpoint
from tests.hub_fixtures import ACTOR


class StubbornReceiver:
    """The endpoint `shop`: answers with the status codes it was given, in turn, the last one for ever.

    `bodies` is what it accepted, in the order of arrival.
    """

    def __init__(self, *codes: int) -> None:
        self.codes = list(codes)
        self.bodies: list[dict[str, object]] = []
        self.headers = {"Location": "http://127.0.0.1:9/elsewhere"}
        receiver = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    code = receiver.codes.pop(0) if len(receiver.codes) > 1 else receiver.codes[0]
                    if code < 300:
                        receiver.bodies.append(orjson.loads(body))
                self.send_response(code)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        save_endpoint(name="shop", url=f"http://127.0.0.1:{self.server.server_port}/", actor=ACTOR)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
