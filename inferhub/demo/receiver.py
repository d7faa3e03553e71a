"""A shop system that receives webhooks: checks each signature and counts each action once."""

import base64
import hashlib
import hmac
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_OLDEST_SECONDS = 300


class WebhookReceiver:
    """Listens on a free port of the loopback interface, as Standard Webhooks tells a receiver to."""

    def __init__(self) -> None:
        self.secret = ""  # of the endpoint; set once the hub has made it
        self.seen: set[str] = set()
        self.refused = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/orders"

    def __enter__(self) -> "WebhookReceiver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def accept(self, message_id: str, timestamp: str, signature: str, body: bytes) -> bool:
        """Whether the message is genuine and fresh; a genuine one is counted once, however often it comes."""
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        mac = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        expected = "v1," + base64.b64encode(mac).decode()
        is_fresh = timestamp.isdecimal() and abs(time.time() - int(timestamp)) < _OLDEST_SECONDS
        if not (is_fresh and any(hmac.compare_digest(expected, given) for given in signature.split())):
            self.refused += 1
            return False
        self.seen.add(message_id)
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                names = ("webhook-id", "webhook-timestamp", "webhook-signature")
                message_id, timestamp, signature = (self.headers.get(name, "") for name in names)
                self.send_response(204 if receiver.accept(message_id, timestamp, signature, body) else 401)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """The supervisor's log is for the hub."""

        return Handler
