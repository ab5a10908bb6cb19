"""The kinds on a SQLAlchemy engine: what they share in `engine`, and a module for each."""
