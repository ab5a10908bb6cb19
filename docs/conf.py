# noqa: INP001 - Sphinx runs it as a script
"""Sphinx: the pages are Markdown."""

import re
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

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

ROOT = Path(__file__).parents[1]
LANGUAGES = {".env": "ini", ".py": "python", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}


def setup(app: Sphinx) -> None:
    """Fill the pages of the examples and of the profiles when they are read."""
    app.connect("source-read", show_files)


def show_files(_app: Sphinx, page: str, source: list[str]) -> None:
    """Replace a page by the README of its folder, with the files that this describes."""
    if page == "examples":
        source[0] = examples_page((ROOT / "examples" / "README.md").read_text(encoding="utf-8"))
    if page == "profiles":
        source[0] = profiles_page((ROOT / "settings" / "README.md").read_text(encoding="utf-8"))


def examples_page(readme: str) -> str:
    """Return the page, with the files of an example below its section."""
    parts = []
    for section in re.split(r"^(?=## )", readme.replace("](../docs/", "]("), flags=re.MULTILINE):
        folder = section.partition("\n")[0].removeprefix("## ")
        files = sorted((ROOT / "examples" / folder).rglob("*")) if section.startswith("## ") else ()
        shown = [file for file in files if file.suffix in LANGUAGES and file.stat().st_size]
        parts += [section, *(block(file, Path(*file.relative_to(ROOT).parts[2:])) for file in shown)]
    return "\n\n".join(parts)


def profiles_page(readme: str) -> str:
    """Return the page, with a section for each profile."""
    description = readme.partition("## demo/")[0].replace("](../docs/", "](")
    description = re.sub(r"\]\(([\w-]+)\.env\)", r"](#\1env)", description)
    files = sorted((ROOT / "settings").glob("*.env"))
    return "\n\n".join([description, *(f"## {file.name}\n\n{block(file, file.name)}" for file in files)])


def block(file: Path, name: Path | str) -> str:
    """Return a file as a block of code with its name."""
    options = f":language: {LANGUAGES[file.suffix]}\n:caption: {name}"
    return f"```{{literalinclude}} ../{file.relative_to(ROOT).as_posix()}\n{options}\n```"
