"""A web process in a container: python web.py /etc/jobs 8000. It defers a job for each POST."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import procrastinate
from procrastinate.exceptions import ConnectorException

from procrastinate_conn import make_connector

app = procrastinate.App(connector=make_connector("sync-psycopg", env_file=None, secrets_dir=sys.argv[1]))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/live":
            return self.answer(200, "alive")
        try:
            app.check_connection()  # one query
        except ConnectorException as error:
            return self.answer(503, str(error.__cause__))
        return self.answer(200, "ready")

    def do_POST(self) -> None:
        self.answer(200, str(app.configure_task("greet").defer(name=self.path[1:])))

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the first process of a container ignores it otherwise
with app.open():
    ThreadingHTTPServer(("", int(sys.argv[2])), Handler).serve_forever()
