"""The kinds ``psycopg`` and ``sync-psycopg``."""
