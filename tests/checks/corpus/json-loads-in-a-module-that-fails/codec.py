print("hunter2")
raise ValueError("postgresql://app:hunter2@localhost")
