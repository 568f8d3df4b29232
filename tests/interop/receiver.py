"""A receiver in Python with the official Standard Webhooks library. Prints its port, then a JSON line per webhook."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks.webhooks import Webhook

webhook = None  # the secret comes on stdin once the registration has returned it


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        try:
            payload = webhook.verify(body, {name.lower(): value for name, value in self.headers.items()})
            report = {"verified": True, "id": self.headers["webhook-id"], "name": payload["name"]}
            status = 200
        except Exception as error:  # whatever the library raises is what the test wants to see
            report = {"verified": False, "reason": repr(error)}
            status = 401
        sys.stdout.write(json.dumps(report) + "\n")  # in one piece: requests are served in threads
        sys.stdout.flush()
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
webhook = Webhook(sys.stdin.readline().strip())
sys.stdin.read()
