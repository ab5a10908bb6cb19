"""A synchronous web server of the standard library: python web.py 8000."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tasks import app, subscribe


class Subscriptions(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        subscribe.defer(address=self.path.removeprefix("/"))
        self.send_response(202)
        self.end_headers()


with app.open(), ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Subscriptions) as server:
    server.serve_forever()
