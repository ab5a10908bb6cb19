def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise RuntimeError("postgresql://app:hunter2@db1/jobs")
