"""A receiver in Python 3.8 or newer, without a library: verify, keep, then answer. Start it with
WEBHOOK_SECRET=whsec_… python3 receiver.py"""

import base64
import hashlib
import hmac
import os
import re
import sqlite3
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ.get("WEBHOOK_SECRET", "")
if not SECRET.startswith("whsec_"):
    raise SystemExit("set WEBHOOK_SECRET to the signing secret, whsec_…")
TEXT = SECRET[len("whsec_"):]
KEY = base64.b64decode(TEXT + "=" * (-len(TEXT) % 4))
TOLERANCE_SECONDS = 300
BODY_BYTES_MAX = 1024 * 1024
DATABASE = os.environ.get("WEBHOOK_DATABASE", "webhooks.db")


def is_genuine(headers, body):
    """Whether these raw bytes are from who shares the key, unchanged and fresh. Verify before parsing."""
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    values = [headers.get_all(name, []) for name in names]
    if any(len(found) != 1 for found in values):  # missing, or twice: nothing says which one was signed
        return False
    (message_id,), (timestamp,), (signatures,) = values
    if not re.fullmatch(r"[1-9][0-9]*", timestamp):
        return False
    expected = hmac.new(KEY, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    entry = "v1," + base64.b64encode(expected).decode()
    # All entries are compared: while secrets are exchanged there are two.
    matches = any([hmac.compare_digest(entry.encode(), offered.encode()) for offered in signatures.split(" ")])
    return matches and abs(time.time() - int(timestamp)) <= TOLERANCE_SECONDS


def keep(message_id, body):
    """Keeps the webhook once, on disk. Work on it afterwards, from the table: the sender waits 30 seconds at most."""
    with sqlite3.connect(DATABASE, timeout=10) as database:
        database.execute("pragma synchronous = full")
        done = database.execute("insert or ignore into webhook (id, body) values (?, ?)", (message_id, body))
        return "stored" if done.rowcount else "duplicate"


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("content-length", "-1"))
        if not 0 <= length <= BODY_BYTES_MAX:
            self.close_connection = True
            return self.answer(413, "too large, or without a length")
        body = self.rfile.read(length)
        if not is_genuine(self.headers, body):
            return self.answer(401, "not verified")
        try:
            self.answer(200, keep(self.headers["webhook-id"], body))
        except sqlite3.Error as error:
            print(error, flush=True)
            self.answer(503, "try again")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass  # addresses and paths are nobody's business


with sqlite3.connect(DATABASE) as connection:
    connection.execute("create table if not exists webhook (id text primary key, body blob not null)")
server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Receiver)
print(server.server_address[1], flush=True)
server.serve_forever()
