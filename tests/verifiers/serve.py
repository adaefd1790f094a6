"""Serves the FastAPI app of app.py at PORT: each request is put to it as by its test client."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from fastapi.testclient import TestClient

sys.path.insert(0, os.getcwd())

from app import app  # noqa: E402

client = TestClient(app)


class Handler(BaseHTTPRequestHandler):
    def serve(self):
        answer = client.request(self.command, self.path, headers=list(self.headers.items()))
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    do_GET = do_DELETE = serve

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
