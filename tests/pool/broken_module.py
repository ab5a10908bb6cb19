"""Cannot be imported, and says why with a secret in it."""

raise RuntimeError("no connection to postgresql://app:hunter2@db1/jobs")
