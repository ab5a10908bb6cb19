"""The kind ``psycopg2``."""
