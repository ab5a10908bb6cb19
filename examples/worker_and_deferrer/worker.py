"""Work jobs as they come, until Ctrl-C: python worker.py."""

from tasks import app

app.run_worker()
