"""The kind ``aiopg``."""
