# noqa: INP001 - Sphinx runs it as a script
"""Sphinx: the pages are Markdown, the public interface is told by the docstrings."""

from importlib.metadata import version as version_of

project = "procrastinate-conn"
author = "the procrastinate-conn authors"
version = release = version_of(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "generate"]
html_theme = "furo"
html_title = f"{project} {version}"

myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
