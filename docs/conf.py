# noqa: INP001 - Sphinx runs it as a script
"""Sphinx: the pages are Markdown."""

from importlib.metadata import version as version_of

project = "procrastinate-conn"
author = "the procrastinate-conn authors"
version = release = version_of(project)

extensions = ["myst_parser"]
exclude_patterns = ["_build", "generate"]
html_theme = "furo"
html_title = f"{project} {version}"

myst_heading_anchors = 3
