"""A DSN: a URI or a keyword/value string, read by libpq."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from procrastinate_conn import libpq, suggestions
from procrastinate_conn.artifacts import as_seen, find_artifact
from procrastinate_conn.libpq import is_secret
from procrastinate_conn.origins import Origin, SourcedValue
from procrastinate_conn.problems import Example, Problem, Rule
from procrastinate_conn.redaction.lines import query_names

MALFORMED_DSN = Rule(
    "PC201",
    "DSN that libpq cannot read",
    "Every connection attempt would fail; a pool retries it silently until it times out.",
    "Write a URI with percent-encoded parts, or keyword=value pairs.",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app@localhost/jobs?sslmode"),
)

OTHER_DATABASE = Rule(
    "PC202",
    "DSN of another database",
    "Procrastinate stores its jobs in PostgreSQL.",
    "Write a postgresql:// URL.",
    example=Example("PROCRASTINATE_CONN_DSN=mysql://app@localhost/jobs"),
)

UNENCODED_PASSWORD = Rule(
    "PC211",
    "DSN with an @ where none belongs",
    "A password with special characters that are not percent-encoded ends too early, and libpq takes its rest"
    " for the host or the database.",
    "Percent-encode the password: @ is %40, : is %3A, / is %2F, ? is %3F, # is %23, % is %25.",
    severity="warning",
    example=Example("PROCRASTINATE_CONN_DSN=postgresql://app:5/cret@localhost/jobs"),
)

UNKNOWN_KEYWORD = Rule(
    "PC204",
    "unknown connection keyword",
    "libpq rejects every connection with a keyword that it does not know.",
    "Use libpq's name for it; the hint names the nearest one.",
    example=Example("PROCRASTINATE_CONN_DSN=hots=localhost dbname=jobs"),
    fault_in="name",
)


def unknown_keyword(keyword: str, subject: str, origin: Origin | None, *, safe: bool = True) -> Problem:
    """Report a keyword that libpq does not know, and that the subject (a variable, the DSN) sets.

    If it is not safe, it may be a piece of a password: then it is shown only if it is a slip of the pen, or
    another library's name of a keyword.
    """
    hint, is_certain = suggestions.keyword_hint(keyword)
    if (seen := as_seen(keyword)) != keyword and seen in libpq.keywords():
        hint, is_certain = f"type {seen} anew", True
    is_shown = safe or is_certain
    return UNKNOWN_KEYWORD(
        f"connection.{keyword}" if is_shown else "connection",
        f"{subject} sets {keyword if is_shown else 'something'}, which libpq does not know as a keyword",
        hint=hint,
        origin=origin,
    )


_SCHEME = r"([A-Za-z][A-Za-z0-9+.-]*)://"
_POSTGRESQL = r"postgres(?:ql)?(?:\+[a-z0-9_]+)?://"

_SEMICOLONS = r"\s*\w[\w :]*=[^\s=]*;\s*\w[\w ]*="
"""Pairs that semicolons separate, as in the DSNs of ADO.NET and ODBC."""

_BASE64 = r"\s*(?:cG9zdGdyZX[M-P]|aG9zdD[0-3])[A-Za-z0-9+/]*=*\s*\Z"
"""A DSN in base64, which begins with postgres or host=; its padding looks like a pair."""

_EXAMPLE = "write postgresql://user:password@host:5432/database, or host=... user=... dbname=..."

ENCODE_PASSWORD = "percent-encode the password: @ is %40, / is %2F"  # noqa: S105 - a hint
"""The hint for a password that ends too early."""


class ParsedDsn(NamedTuple):
    """A DSN and its parameters, as libpq reads them."""

    sourced: SourcedValue  # as it is written
    parameters: Mapping[str, SourcedValue] = MappingProxyType({})  # by keyword; none if libpq cannot read it
    problems: tuple[Problem, ...] = ()
    password_overflows: bool = False  # its password may end too early, and the rest be in other keywords

    @property
    def text(self) -> str:
        """The DSN as text, secrets in clear."""
        return str(self.sourced.value)

    @property
    def origin(self) -> Origin:
        """Where the DSN is written."""
        return self.sourced.origin

    @property
    def is_uri(self) -> bool:
        """Whether it is a URI of PostgreSQL's."""
        return _is_uri(self.text)


def parse_dsn(sourced: SourcedValue) -> ParsedDsn:
    """Let libpq read a DSN; SQLAlchemy's ``postgresql+driver://`` is read as ``postgresql://``."""
    dsn, origin = sourced.value, sourced.origin
    if not isinstance(dsn, str):
        message, hint = f"the DSN is a {type(dsn).__name__}, not text", _EXAMPLE
        if hasattr(dsn, "render_as_string"):  # SQLAlchemy's
            hint = "write dsn=url.render_as_string(hide_password=False)"
        return ParsedDsn(sourced, problems=(MALFORMED_DSN("dsn", message, hint=hint, origin=origin),))
    scheme = re.match(_SCHEME, dsn)
    if scheme and not scheme[1].lower().startswith("postgres"):
        message = f"{scheme[1]}:// is not a PostgreSQL URL"
        return ParsedDsn(sourced, problems=(OTHER_DATABASE("dsn", message, hint=_EXAMPLE, origin=origin),))
    try:
        values = _parse(dsn)
    except libpq.InvalidConninfo as error:
        has_pairs = not re.match(f"{_SEMICOLONS}|{_BASE64}", dsn)
        unknown = tuple(_unknown_keywords(dsn, error.unknown, origin)) if has_pairs else ()
        return ParsedDsn(sourced, problems=unknown or (_malformed(str(error), dsn, origin),))
    parameters = {keyword: replace(sourced, value=value, from_dsn=True) for keyword, value in values.items()}
    if not _password_overflows(dsn):
        return ParsedDsn(sourced, parameters)
    message = "the DSN has an @ in the wrong place; libpq takes the text before it for a host or a database"
    if "@" not in dsn or re.search(r"@[^/@]*:/[^@]*\Z", dsn):
        message = "the DSN has a : without a port, and a / in the database: they may belong to a password"
    problem = UNENCODED_PASSWORD("dsn", message, hint=ENCODE_PASSWORD, origin=origin)
    return ParsedDsn(sourced, parameters, (problem,), password_overflows=True)


def foreign_scheme(url: str) -> str | None:
    """Return the scheme of a URL for another tool, with or without ``//``; None for PostgreSQL's."""
    scheme = re.match(r"([A-Za-z][\w+.-]*):", url)
    is_ours = re.match(r"(?:jdbc:)?postgres", url, re.IGNORECASE)
    return scheme[1] if scheme and not is_ours else None


def _is_uri(dsn: str) -> bool:
    return re.match(_POSTGRESQL, dsn) is not None


def _password_overflows(dsn: str) -> bool:
    """Tell whether a URI has an @ or a :// that libpq does not take for the end of the credentials.

    libpq takes the first @ for it, and none after a slash. A password that begins with a slash, and lacks
    the host behind it, leaves an empty port and a database with a slash.
    """
    if not _is_uri(dsn):
        return False
    text = dsn.partition("://")[2]
    credentials, at, rest = text.partition("@")
    address, _, _ = (rest if at and "/" not in credentials else text).partition("?")
    return "@" in address or "://" in address or re.match(r"[^/]*:/[^/]*/", address) is not None


def _parse(dsn: str) -> dict[str, str]:
    return libpq.parse(re.sub(rf"\A{_POSTGRESQL}", "postgresql://", dsn))


def _unknown_keywords(dsn: str, first: str | None, origin: Origin) -> Iterator[Problem]:
    """Yield each keyword that libpq does not know: it names one, so it parses the DSN again without it."""
    text, keyword, reported = dsn, first, set[str]()
    while keyword and keyword not in reported:
        reported.add(keyword)
        yield unknown_keyword(keyword, "the DSN", origin, safe=_cannot_be_a_secret(keyword, dsn))
        written = re.escape(keyword).replace(r"\ ", "%20")  # only a URI has a blank in a name
        text = re.sub(rf"(^|[\s?&]){written}(?=\s*=)", r"\1dbname", text)
        try:
            _parse(text)
        except libpq.InvalidConninfo as error:
            keyword = error.unknown
        else:
            return


_LIKE_A_KEYWORD = "[A-Za-z_ +-]{1,30}"  # no token, and no longer than the longest of libpq's
_SIGNS_OF_A_PASSWORD = "(?i)[:@]|pass|pwd|secret|scram|key|token"  # noqa: S105 - a pattern


def _cannot_be_a_secret(keyword: str, dsn: str) -> bool:
    """Tell whether an unknown keyword is no piece of a password that a blank, a ? or an & has cut in two."""
    if not re.fullmatch(_LIKE_A_KEYWORD, keyword):
        return False
    if _is_uri(dsn):
        return keyword in query_names(dsn)
    before = dsn[: dsn.rfind(keyword)]
    meant = map(suggestions.keyword, re.findall(r"(\w+)\s*=", before))
    return not re.search(_SIGNS_OF_A_PASSWORD, before) and not any(name and is_secret(name) for name in meant)


_EXPLANATIONS = (
    (
        "(?i)jdbc:",
        "",
        "it is a URL for Java",
        "write postgresql://user:password@host/database, without jdbc:",
    ),
    (r"['\"]", "", "it begins with a quote", "leave out the quotes around it"),
    (r"\*+\Z", "", "it is masked", "write it with its secret: a dump of the settings does not have that"),
    (r"\s*\{", "", "it is JSON", "write it as connection, with libpq's keywords for the names in it"),
    (r"(?i:psql)\s", "", "it is a command", "leave out psql, and the quotes around its argument"),
    (
        r".*(\{\{.*\}\}|<%.*%>|#\{.*\})",
        "",
        "it has a reference of a template that nothing was put in for",
        "let the workflow or the template fill it in",
    ),
    (
        r"\$[({\w]",
        "",
        "it is a reference to a variable that was not expanded",
        "in an env file write ${NAME}, and set NAME before it or in the environment",
    ),
    (_POSTGRESQL, "spaces", "it has a blank", "write a blank as %20, and leave none around it"),
    (_POSTGRESQL, "IPv6", "", "write brackets around an IPv6 address, and nothing else: [::1]:5432"),
    (
        _POSTGRESQL,
        "query parameter",
        "",
        "write ?keyword=value&keyword=value, and percent-encode the values: = is %3D, & is %26",
    ),
    (_POSTGRESQL, "", "", "percent-encode special characters: @ is %40, : is %3A, / is %2F, % is %25"),
    (_SCHEME, "", "its scheme is none of libpq's", "did you mean postgresql://?"),
    (_BASE64, "", "it is in base64", "decode it: base64 belongs only under the data of a Kubernetes Secret"),
    (
        _SEMICOLONS,
        "",
        "there are semicolons between the pairs",
        "write libpq's keywords, with blanks between the pairs: host=... user=... dbname=...",
    ),
    ("", "unterminated", "a quote is not closed", "close it, or write \\' for a quote in a value"),
    (".*=", "", "", "write keyword=value pairs, and single quotes around a value that has blanks"),
    ("", "", "", _EXAMPLE),
)
"""Why libpq cannot read a DSN, by a pattern of it and a word of libpq's reason; the first counts.

The explanation is empty if there is none better than libpq's; the last text is the hint.
"""


def _malformed(reason: str, dsn: str, origin: Origin) -> Problem:
    better, hint = next(
        (better, hint)
        for pattern, word, better, hint in _EXPLANATIONS
        if word in reason and re.match(pattern, dsn, re.DOTALL)
    )
    if artifact := find_artifact(dsn, origin.source):
        better, hint = f"it has {artifact.description}", artifact.hint
    return MALFORMED_DSN("dsn", f"libpq cannot read the DSN: {better or reason}", hint=hint, origin=origin)
