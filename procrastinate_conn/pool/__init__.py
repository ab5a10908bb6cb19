"""The pool options: one vocabulary, psycopg_pool's, for all five connectors."""

from procrastinate_conn.pool.options import PoolOptions
from procrastinate_conn.pool.validation import validate_pool_options

__all__ = ["PoolOptions", "validate_pool_options"]
