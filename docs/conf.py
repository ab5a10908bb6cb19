# noqa: INP001 - Sphinx runs it as a script
"""Sphinx: the pages are Markdown."""

from importlib.metadata import version as version_of

project = "procrastinate-conn"
author = "the procrastinate-conn authors"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx calls it that
version = release = version_of(project)

extensions = ["myst_parser"]
exclude_patterns = ["_build", "generate"]
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_title = f"{project} {version}"

myst_heading_anchors = 3
