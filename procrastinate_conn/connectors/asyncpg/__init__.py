"""The kind ``asyncpg``."""
