"""The pages and pictures that are generated from the package: ``python -m docs.generate``."""

from pathlib import Path

DOCS = Path(__file__).parents[1]
"""The folder of the documentation."""
