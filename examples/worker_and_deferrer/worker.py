"""Work jobs until Ctrl-C: python worker.py."""

from tasks import app

app.run_worker()
