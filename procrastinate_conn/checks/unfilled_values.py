"""Names and passwords with artifacts: of an editor, a shell, a file, a template or a person."""

from __future__ import annotations

from collections.abc import Iterator

from procrastinate_conn.artifacts import Artifact, find_artifact, first_match
from procrastinate_conn.checks.dsn import check_separators
from procrastinate_conn.configuration import Configuration
from procrastinate_conn.connection.password_file import look_up
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.passwords import PasswordUnavailable, from_file
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.sources.password_file import find_password_artifact

UNFILLED_VALUE = Rule(
    "PC218",
    "unfilled or quoted value",
    "A line break, a quote, a comment, a reference, a placeholder, or a character that is not what it looks"
    " like, is a part of the value to libpq: the server knows no such user or database, and rejects the"
    " password.",
    "Write the value alone. In a Kubernetes Secret end no value with a line break, and in a file for"
    " docker run --env-file write no quotes.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost//jobs"),
)

_IN_URIS = {
    r"(?:cloudsql|run|tmp|var)/.+": Artifact(
        "the directory of a socket before its name",
        "write it as ?host=/cloudsql/project:region:instance, and the database alone before that",
    ),
    r"[^/].*/.*[^/;,\\]": Artifact(
        "a slash in it, as a path has",
        "write the database alone; a schema goes into options: -c search_path=...",
    ),
    r".*#.*": Artifact(
        "a # in it, as a comment or a fragment has", "write it alone, or a # that is meant as %23"
    ),
}
"""Artifacts of the database in a URI, by patterns of the whole value; the first match counts."""

_OF_DATABASES = {
    r"/.*": Artifact(
        "a slash before its name",
        "write one slash between the host and the database, and the directory of a socket as host",
    ),
    r".*[/;,\\]": Artifact(
        "a slash, comma or semicolon after its name",
        "leave it out: in a URI nothing but a ? follows the database",
    ),
}
_OF_NAMES = {
    r".*%[0-9A-Fa-f]{2}.*": Artifact(
        "a percent-encoded character", "percent-encode once, and only in a URI: @ is %40, which %2540 is not"
    )
}
_OF_LOGINS = {
    r"\[.+\]|<.+>": Artifact(
        "brackets around it, as a placeholder has",
        "write the value in the place of the brackets and of what is in them",
    ),
    r".*[\x00-\x1f].*": Artifact(
        "a control character in it", "write two backslashes for one where that begins an escape"
    ),
}
_PLACEHOLDER = Artifact("a placeholder instead of a value", "write the value")
_OF_ALL = {
    r"(?i:your[_-].+)|USER(NAME)?|PASS(WORD)?|HOST(NAME)?|DATABASE|DB_?NAME|[*•]{3,}": _PLACEHOLDER,
    r"None|null|undefined": Artifact(
        "what a program writes for no value", "set the variable that it comes from"
    ),
}
_PATTERNS = {
    "host": {"host(name)?": _PLACEHOLDER, **_OF_ALL},
    "password": {**_OF_LOGINS, **_OF_ALL},
    "user": {**_OF_NAMES, **_OF_LOGINS, **_OF_ALL},
    "dbname": {**_OF_DATABASES, **_OF_NAMES, **_OF_LOGINS, **_OF_ALL},
}
"""What a keyword's value has besides the artifacts of every value."""


def check(configuration: Configuration) -> Iterator[Problem]:
    """Report each kind of artifact once for each origin.

    Values that may be the rest of a password, and the database in a DSN with commas, are other problems.
    """
    connection = configuration.connection
    ignored = set(connection.redacted_keywords)
    if any(check_separators(configuration)):
        ignored.add("dbname")
    is_uri = connection.dsn is not None and "://" in connection.dsn.text
    found: dict[tuple[Artifact, Origin], list[str]] = {}
    for keyword, sourced in connection.effective.items():
        artifact = _artifact(keyword, sourced, in_uri=is_uri and sourced.from_dsn)
        if artifact and keyword not in ignored:
            found.setdefault((artifact, sourced.origin), []).append(keyword)
    for (artifact, origin), keywords in found.items():
        verb = "has" if len(keywords) == 1 else "have"
        message = f"{', '.join(keywords)} {verb} {artifact.description}"
        yield UNFILLED_VALUE(f"connection.{keywords[0]}", message, hint=artifact.hint, origin=origin)
    yield from _check_files(configuration)


def _artifact(keyword: str, sourced: SourcedValue, *, in_uri: bool) -> Artifact | None:
    value = str(sourced.value)
    if keyword == "options" or "-----BEGIN" in value:  # a file's content: both are problems of their own
        return None
    source = "dsn" if sourced.from_dsn else sourced.origin.source
    artifact = None if keyword == "host" else find_artifact(value, source, secret=is_secret(keyword))
    patterns = (_IN_URIS if in_uri and keyword == "dbname" else {}) | _PATTERNS.get(keyword, {})
    return artifact or first_match(patterns, value)


def _check_files(configuration: Configuration) -> Iterator[Problem]:
    """Check the password in the file that it is read from, which holds nothing else."""
    settings, spec = configuration.settings, configuration.spec
    if settings.password_setting == "password_file":  # noqa: S105 - the name of a setting
        sourced = settings.explicit["password_file"]
        try:
            artifact = find_artifact(from_file(str(sourced.value))(), "secrets", secret=True)
        except PasswordUnavailable:
            return
        if artifact:
            message = f"the password in the file of password_file has {artifact.description}"
            yield UNFILLED_VALUE("password_file", message, hint=artifact.hint, origin=sourced.origin)
    elif spec is not None and settings.password is None:
        for origin, artifact in dict(look_up(spec, find_password_artifact)).items():
            message = f"the password in line {origin.line} of {origin.file} has {artifact.description}"
            yield UNFILLED_VALUE("connection.passfile", message, hint=artifact.hint, origin=origin)
