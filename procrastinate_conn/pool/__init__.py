"""The pool options: one vocabulary, psycopg_pool's, for all five connectors."""

from procrastinate_conn.pool.options import PoolOptions

__all__ = ["PoolOptions"]
