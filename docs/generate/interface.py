"""The page of the public interface, generated from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import procrastinate_conn
from docs.generate.markdown import code, page, paragraphs, table

INTRODUCTION = """\
# Public interface

The names that `procrastinate_conn` exports, besides `__version__`. Everything else may change with any
version.
"""

ORDER = (
    "make_connector",
    "ConnectorSettings",
    "ConnectionSpec",
    "PoolOptions",
    "ConnectorKind",
    "Origin",
    "Problem",
    "ConfigurationError",
    "pool_stats",
    "PoolStats",
    "ConnectorInfo",
    "OptionSupport",
    "POOL_OPTIONS",
)

MEMBERS = {
    "ConnectorSettings": ("spec", "make_connector"),
    "ConnectionSpec": ("redacted", "conninfo"),
    "PoolOptions": ("min_size", "max_size", "timeout"),
}
"""The public members of a class, if not all of it is described in its docstring."""

CALLS = {
    "ConnectorSettings": "ConnectorSettings(*, _env_file='.env', _secrets_dir=None, **values)",
    "ConnectionSpec": "ConnectionSpec(**keywords)",
    "ConnectorKind": "ConnectorKind(name)",
    "PoolOptions": "PoolOptions(explicit=None, *, null=False, **options)",
    "POOL_OPTIONS": "POOL_OPTIONS: Mapping[str, OptionSupport]",
}
"""The calls of those classes whose signatures differ from their intended use."""

NOTES = {
    "ConnectorSettings": "Its fields are [the settings](settings.md).",
    "PoolOptions": "All options are in [a page of their own](pool.md).",
    "ConnectorInfo": "For [kinds of other packages](other-kinds.md).",
    "POOL_OPTIONS": "The pool options that every kind with a server has, for `ConnectorInfo`.",
}

SECTION = re.compile(r"^(\w+)\n-+\n", re.MULTILINE)
ENTRY = re.compile(r"^(\S.*)\n((?: +.*\n?|\n)*)", re.MULTILINE)


def interface_page() -> str:
    """Return the page."""
    return page(INTRODUCTION, *(_exported(name) for name in ORDER))


def _exported(name: str) -> str:
    found = getattr(procrastinate_conn, name)
    # The anchor of Sphinx's autodoc, so that links to the pages that it generated stay valid.
    heading = f'<a id="procrastinate_conn.{name}"></a>\n\n## {name}'
    called = f"```python\n{CALLS.get(name) or _call(name, found)}\n```"
    members = "".join(_member(found, member) for member in MEMBERS.get(name, ()))
    if name == "ConnectorKind":
        members = "".join(f"- `ConnectorKind.{kind.name}`: `{kind}`\n" for kind in found)
    described = _described(found) if callable(found) else ""
    return paragraphs(heading, called, described, NOTES.get(name, ""), members)


def _call(name: str, called: Callable[..., Any]) -> str:
    """Return a signature, with a line for each parameter if they do not fit into one."""
    parameters, kind = [], None
    for parameter in inspect.signature(called).parameters.values():
        if kind is parameter.POSITIONAL_ONLY and parameter.kind is not kind:
            parameters.append("/")
        if parameter.kind is parameter.KEYWORD_ONLY and kind is not parameter.kind:
            parameters.append("*")
        kind = parameter.kind
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        stars = "**" if kind is parameter.VAR_KEYWORD else ""
        # A NamedTuple has ForwardRef("str") in the place of "str".
        annotation = getattr(parameter.annotation, "__forward_arg__", parameter.annotation)
        parameters.append(f"{stars}{parameter.name}: {annotation}{default}")
    returned = inspect.signature(called).return_annotation
    result = "" if returned in (inspect.Signature.empty, None, "None") else f" -> {returned}"
    line = f"{name}({', '.join(parameters)}){result}"
    broken = "".join(f"    {parameter},\n" for parameter in parameters)
    return line if len(line) <= 100 else f"{name}(\n{broken}){result}"


def _described(found: object) -> str:
    """Return a docstring in numpy's style as Markdown."""
    text = (inspect.getdoc(found) or "").replace("``", "`") + "\n"
    summary, *rest = SECTION.split(text)
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    return paragraphs(summary, *(_section(*section) for section in sections.items()))


def _section(title: str, text: str) -> str:
    if title == "Examples":
        return f"```pycon\n{text.strip()}\n```"
    rows = [(_names(entry[1]), " ".join(entry[2].split())) for entry in ENTRY.finditer(text)]
    if title in ("Raises", "Returns"):
        return "\n\n".join(f"{title} {name}: {meaning[:1].lower()}{meaning[1:]}" for name, meaning in rows)
    return table((title.lower().removesuffix("s"), "meaning"), rows)


def _names(entry: str) -> str:
    names = entry.partition(" : ")[0]
    return ", ".join(map(code, names.split(", ")))


def _member(owner: object, name: str) -> str:
    member = inspect.getattr_static(owner, name)
    call = f"{name}()" if callable(member) else name
    summary = (inspect.getdoc(member) or "").replace("``", "`").partition("\n\n")[0]
    return f"- `{call}`: {' '.join(summary.split())}\n"
