"""The same home and places to write settings in as the resolution's tests have."""

from tests.resolution.conftest import home, written

__all__ = ["home", "written"]
