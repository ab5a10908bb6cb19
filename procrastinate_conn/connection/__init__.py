"""The validated connection: what libpq is told."""
