from procrastinate_conn import ConnectorSettings


class Jobs(ConnectorSettings):
    pass


jobs = Jobs(
    dsn="postgresql://app:hunter2@localhost/jobs",
    pool={"min_szie": 2},
)
