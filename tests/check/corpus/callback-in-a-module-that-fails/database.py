raise RuntimeError("hunter2")
