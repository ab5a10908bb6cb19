"""The pool options: psycopg_pool's names and types, for every kind of connector."""

from procrastinate_conn.pool.options import PoolOptions
from procrastinate_conn.pool.validation import validate_pool_options

__all__ = ["PoolOptions", "validate_pool_options"]
