"""The same home and directories for sources as in the tests of the resolution."""

from tests.resolution.conftest import home, written

__all__ = ["home", "written"]
