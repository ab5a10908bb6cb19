"""What people write to describe a connection, well, badly and damaged: hypothesis strategies."""

from __future__ import annotations

from functools import cache
from urllib.parse import quote

from hypothesis import strategies as st

from procrastinate_conn import libpq
from tests.resolution.oracle import BROADCAST, Inputs

# Without surrogates and NUL, which no environment, file or driver can carry: see test_awkward_values.py.
ANY = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
AWKWARD = st.text(st.one_of(st.sampled_from("'\"\\%=@:/?#&[], \t\n\v$+é中"), ANY), max_size=12)
PLAIN = st.text("abcdefgh0123_-", min_size=1, max_size=8)
LONG = st.sampled_from(["x" * 300, "é" * 1000, "\\'" * 600])
TEXT = st.one_of(PLAIN, AWKWARD, st.just(""), LONG)

ODD_NUMBERS = (
    *("", "0", "-0", "+", "+5", "--5", " 5 ", "5 0", "5x", "0x10", "005", "1e3", "2.5", "1_0", "\u0665"),
    *("\t7", "7\n", "\v8", "9\r", "2147483647", "2147483648", "-2147483648", "-2147483649", "9" * 20),
)
NUMBERS = st.one_of(st.integers(-3, 70000).map(str), st.sampled_from(ODD_NUMBERS))
SOCKETS = st.one_of(
    st.sampled_from(["/", "/nowhere", "/no where", "/nowhere/ü", "@nowhere", "@", "@ ", "//", "/a'b\\c", ""]),
    st.integers(60, 130).map(lambda size: "/" + "n" * size),
)
HOSTS = st.one_of(
    SOCKETS, st.just(BROADCAST), st.sampled_from(["::", "ff02::1", "db.example", "db 1", "a@b"])
)
ODD_ADDRESSES = (
    *("", "127.0.0.1", "::1", "ff02::1", "fe80::1%lo", "127.1", "0x7f.1", "1.2.3.256", "nohost", "[::1]"),
    *(" 127.0.0.1", "127.0.0.1 ", "::1%", "2130706433", "1.2.3.4.5", "\uff11\uff12\uff17.0.0.1"),
)
ADDRESSES = st.one_of(st.just(BROADCAST), st.sampled_from(ODD_ADDRESSES))


def listed(elements: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """One to three elements, separated by commas; seldom a stray comma."""
    lists = st.lists(elements, min_size=1, max_size=3).map(",".join)
    return st.one_of(elements, elements, lists, st.builds(lambda text: text + ",", lists))


CHOICES = {
    "channel_binding": ["disable", "prefer", "require"],
    "gssencmode": ["disable", "prefer", "require"],
    "gssdelegation": ["0", "1"],
    "load_balance_hosts": ["disable", "random"],
    "max_protocol_version": ["3.0", "3.2", "latest", "3.1"],
    "min_protocol_version": ["3.0", "3.2", "latest", "3"],
    "replication": ["database", "true", "0"],
    "require_auth": [
        "password", "!password", "scram-sha-256,md5", "!md5,!gss", "none", "!none", "md5,md5", "md5,!gss",
        "oauth",
    ],
    "ssl_max_protocol_version": ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", "tlsv1.3"],
    "ssl_min_protocol_version": ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", "SSLv3"],
    "sslcertmode": ["disable", "allow", "require"],
    "sslcompression": ["0", "1"],
    "sslmode": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"],
    "sslnegotiation": ["postgres", "direct"],
    "sslrootcert": ["system", "/etc/root.crt"],
    "sslsni": ["0", "1"],
    "target_session_attrs": [
        "any", "read-write", "read-only", "primary", "standby", "prefer-standby",
    ],
    "client_encoding": ["auto", "UTF8", "LATIN1"],
    "scram_client_key": ["A" * 43 + "=", "A" * 44, "AAAA"],
    "scram_server_key": ["B" * 43 + "="],
}  # fmt: skip

COMMON = (
    "user",
    "password",
    "dbname",
    "application_name",
    "options",
    "sslmode",
    "passfile",
    "connect_timeout",
)


OF_KEYWORD = {
    "host": listed(HOSTS),
    "hostaddr": listed(ADDRESSES),
    "port": listed(NUMBERS),
    "connect_timeout": NUMBERS,
    "tcp_user_timeout": NUMBERS,
    "service": st.sampled_from(["jobs", "jobs", "other", "ö", "", "j"]),
}


@cache
def value_of(keyword: str) -> st.SearchStrategy[str]:
    """Values that suit a keyword, and some that do not."""
    if keyword in CHOICES:
        apt = st.sampled_from(CHOICES[keyword])
        return st.one_of(apt, apt, apt, st.sampled_from(["", "nonsense", " " + CHOICES[keyword][0]]))
    return OF_KEYWORD.get(keyword, NUMBERS if keyword.startswith("keepalives") else TEXT)


@cache
def keyword_names(*, services: bool = False) -> st.SearchStrategy[str]:
    """libpq's keywords, those that people use oftener than the others."""
    every = [k for k in libpq.keywords() if k != "servicefile" and (services or k != "service")]
    return st.one_of(
        st.sampled_from(every), st.sampled_from(COMMON), st.sampled_from(["host", "hostaddr", "port"])
    )


@st.composite
def parameters(draw: st.DrawFn, *, services: bool = False, max_size: int = 5) -> dict[str, str]:
    """Keyword to value."""
    names = draw(st.lists(keyword_names(services=services), max_size=max_size, unique=True))
    return {name: draw(value_of(name)) for name in names}


@st.composite
def keyword_strings(draw: st.DrawFn, *, services: bool = False) -> str:
    """A keyword/value string, its values quoted in every way that libpq reads."""
    parts = []
    for keyword, value in draw(parameters(services=services)).items():
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        blank = draw(st.sampled_from(["", "", "", " ", "\t", "\n"]))
        bare = bool(value) and not any(character.isspace() for character in value)
        quotation = draw(st.sampled_from(["{}", "'{}'"] if bare else ["'{}'"]))
        parts.append(f"{keyword}{blank}={blank}{quotation.format(escaped)}")
    return draw(st.sampled_from([" ", "  ", "\n"])).join(parts)


SCHEMES = st.sampled_from(["postgresql", "postgres", "postgresql+psycopg", "postgresql+asyncpg"])
ENCODED = TEXT.map(lambda text: quote(text, safe=""))
CREDENTIALS = st.one_of(
    st.just(""),
    st.builds("{}@".format, st.one_of(PLAIN, ENCODED)),
    st.builds("{}:{}@".format, ENCODED, ENCODED),
    st.builds("{}:{}@".format, PLAIN, PLAIN),
)
PATHS = st.one_of(st.just(""), st.just("/"), ENCODED.map("/{}".format))
SPECIAL = st.sampled_from(["", "", "", "ssl=true", "ssl=false", "sslmode=require&sslmode=disable"])


@st.composite
def uris(draw: st.DrawFn, *, services: bool = False) -> str:
    """A URI, with and without each of its parts."""
    scheme = draw(SCHEMES)
    user = draw(CREDENTIALS)
    hosts = draw(st.lists(uri_hosts(), max_size=3))
    path = draw(PATHS)
    safe = draw(st.sampled_from(["", "/,:"]))
    values = draw(parameters(services=services, max_size=3))
    query = "&".join(
        filter(None, [*(f"{k}={quote(v, safe=safe)}" for k, v in values.items()), draw(SPECIAL)])
    )
    return f"{scheme}://{user}{','.join(hosts)}{path}{'?' * bool(query)}{query}"


@cache
def uri_hosts() -> st.SearchStrategy[str]:
    ports = st.one_of(st.just(""), st.just(":"), st.integers(0, 70000).map(lambda number: f":{number}"))
    names = st.sampled_from(
        ["", BROADCAST, "[ff02::1]", "[::1%25lo]", "[]", "[zz]", "db.example", "%2Fnowhere", "%40abstract"]
    )
    return st.builds(lambda name, port: name + port, names, ports)


@st.composite
def damaged(draw: st.DrawFn, originals: st.SearchStrategy[str]) -> str:
    """Strings with a few characters lost, doubled, inserted or swapped."""
    text = draw(originals)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        new = draw(st.one_of(st.just(""), st.sampled_from("'\"\\%=@:/?#&[], \n"), ANY))
        text = text[:at] + new + text[at + draw(st.integers(0, 2)) :]
    return text


@cache
def strings(*, services: bool = False) -> st.SearchStrategy[str]:
    """Connection strings of every kind."""
    valid = st.one_of(uris(services=services), keyword_strings(services=services))
    return st.one_of(valid, valid, damaged(valid), AWKWARD)


@st.composite
def variables(draw: st.DrawFn, *, services: bool = False, max_size: int = 5) -> dict[str, str]:
    """libpq's variables."""
    values = draw(parameters(services=services, max_size=max_size))
    table = libpq.keywords()
    named = {table[keyword].variable: value for keyword, value in values.items() if table[keyword].variable}
    if draw(st.integers(0, 9)) == 0:
        named["PGREQUIRESSL"] = draw(st.sampled_from(["1", "0", "", "10"]))
    return named


@st.composite
def service_files(draw: st.DrawFn) -> bytes:
    """A service file with the service ``jobs``, more or less in order."""
    lines = [draw(st.sampled_from(["", "# a comment", "[other]", "[jobs2]", "host=/outside", "  "]))]
    lines.append(
        draw(st.sampled_from(["[jobs]", "[jobs]", "[jobs] trailing", "  [jobs]", "[ö]", "[jobs", "[]"]))
    )
    for keyword, value in draw(parameters(max_size=4)).items():
        lines.append(
            draw(st.sampled_from(["{}={}", "{}={}", "{}={} ", "\t{}={}", "{}= {}"])).format(keyword, value)
        )
    odd = [
        "",
        "#host=/x",
        "nonsense",
        "port",
        "hots=/x",
        "service=other",
        "port = 5",
        "ldap",
        "x" * 1021,
        "=",
        "[jobs]",
    ]
    for line in draw(
        st.lists(st.sampled_from([*odd, "y" * 1022, "z" * 1023, "user=" + "u" * 1017]), max_size=1)
    ):
        lines.insert(draw(st.integers(0, len(lines))), line)
    lines += draw(st.sampled_from([[], ["[other]", "host=/other", "nonsense"], ["port=1"]]))
    ending = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    text = ending.join(lines) + draw(st.sampled_from(["", ending]))
    return text.encode()


@st.composite
def password_files(draw: st.DrawFn) -> bytes:
    """A password file whose lines match many connections."""
    field = st.one_of(
        st.just("*"),
        st.just("*"),
        st.sampled_from(["localhost", "/nowhere", BROADCAST, "5432", "jobs", "**"]),
    )
    lines = draw(
        st.lists(
            st.one_of(
                st.builds(lambda *fields: ":".join(fields), field, field, field, field, TEXT),
                st.builds(lambda *fields: ":".join(fields), field, field, AWKWARD, field, TEXT),
                st.sampled_from(
                    ["# *:*:*:*:no", "", "*:*:*:*", "*:*:*:*:", "\\*:*:*:*:no", "*:*:*:*:a\\:b\\\\c:d"]
                ),
            ),
            max_size=3,
        )
    )
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines).encode()


@st.composite
def everything(draw: st.DrawFn) -> Inputs:
    """All sources together."""
    return Inputs(
        environment=draw(variables(services=True)),
        dotenv=draw(variables(max_size=3)),
        dsn=draw(st.one_of(st.none(), strings(services=True))),
        dsn_in=draw(st.sampled_from(["call", "environment", "dotenv", "DATABASE_URL"])),
        keywords=draw(parameters(services=True, max_size=3)),
        keywords_in=draw(st.sampled_from(["call", "environment", "dotenv"])),
        service_file=draw(st.one_of(st.none(), service_files())),
        password_file=draw(st.one_of(st.none(), password_files())),
    )
