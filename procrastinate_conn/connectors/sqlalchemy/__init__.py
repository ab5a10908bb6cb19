"""The kind ``sqlalchemy-psycopg2``."""
