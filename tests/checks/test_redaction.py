"""No shown line, message or command output contains a secret, however it is written."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from procrastinate_conn import libpq
from procrastinate_conn.demo.postgres import free_port
from procrastinate_conn.redaction import MASK, redact, redact_value
from procrastinate_conn.redaction.lines import redact_dsn, redact_env_line, redact_service_line
from tests.checks.running import SECRET, run, run_all

P = "PROCRASTINATE_CONN_"

PASSWORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12).map(
    lambda middle: f"hun{middle}ter2"
)
"""Passwords with two ends that differ from everything else in a line; anything may be between them."""

ENV_LINES = (
    f"{P}DSN=postgresql://app:{{}}@db1:5432,db2/jobs?sslmode=require",
    f"{P}DSN=postgresql://app:{{}}",
    f"{P}DSN=postgresql://db1/jobs?password={{}}&sslmode=require",
    f"{P}DSN=postgresql://db1/jobs?sslpassword={{}}",
    f"{P}DSN=postgresql://db1/jobs?pasword={{}}",
    f"{P}DSN=host=db1 password={{}} dbname=jobs",
    f"{P}DSN=host=db1 password = '{{}}' dbname=jobs",
    f"{P}DSN=host=db1 password='{{}}",
    f"{P}DSN=host=db1 pasword={{}}",
    f"{P}DSN=mysql://app:{{}}@db1/jobs",
    f"{P}DSN={{}}",
    f'{P}DSN="postgresql://app:{{}}@db1/jobs"',
    f"{P}DSN='host=db1 password={{}}'",
    f"export {P}CONNECTION__PASSWORD={{}}",
    f"{P}CONNECTION__PASSWORD='{{}}' # the password",
    f"{P}CONNECTION__PASWORD={{}}",
    f"{P}CONNECTION__SSLPASSWORD={{}}",
    f"{P}CONNECTION__HOST=postgresql://app:{{}}@db1",
    f'{P}CONNECTION={{{{"host": "db1", "password": "{{}}"}}}}',
    f'{P}CONNECTION={{{{"host": "db1", "pasword": "{{}}"',
    f"{P}CONNECTION={{}}",
    f'{P}POOL={{{{"min_size": 1, "kwargs": {{{{"password": "{{}}"}}}}}}}}',
    f"{P}POOL__PASSWORD={{}}",
    f"{P}POOL__CONNINFO=host=db1 password={{}}",
    f"{P}PASSWORD={{}}",
    f"{P}PASSWORD_COMMAND=vault --token {{}}",
    f"{P}SECRET__KEY={{}}",
    "DATABASE_URL=postgresql://app:{}@db1/jobs",
    f"{P}DSN=jdbc:postgresql://db1/jobs?user=app&password={{}}",
    f"{P}DSN=postgresql://db1/jobs?user=app;password={{}}",
    f"{P}DSN=host=db1;user=app;password={{}}",
    f"{P}DSN=Server=db1;User Id=app;Password={{}}",
    f"{P}DSN=postgresql://app:/sec/{{}}",
    f"{P}DSN=app:{{}}@db1/jobs",
    f"{P}CONNECTION__DBNAME=postgresql://app:{{}}@db1/jobs",
    f"{P}CONNECTION__USER=app:{{}}@db1",
    f"{P}CONNECTION__SSLKEY=-----BEGIN PRIVATE KEY-----{{}}",
    f'{P}CONNECTION={{{{"host": "postgresql://app:{{}}@db1"}}}}',
    f"{P}CONNECTOR=postgresql://app:{{}}@db1/jobs",
    f"{P}DEFAULTS=postgresql://app:{{}}@db1/jobs",
    f"{P}JSON_DUMPS=postgresql://app:{{}}@db1/jobs",
    f"{P}PASSWORD_FILE=postgresql://app:{{}}@db1/jobs",
    f"{P}POOL__NAME=postgresql://app:{{}}@db1/jobs",
    f"{P}POOL=postgresql://app:{{}}@db1/jobs",
    "PGHOST=postgresql://app:{}@db1/jobs",
    "PGSERVICEFILE=postgresql://app:{}@db1/jobs",
    "PGOPTIONS=-c my.password={}",
    "PGPASSWORD={}",
    "PGPASWORD={}",
    f"{P}CONNECTION__PASSWORD {{}}",
    '"{}',
)


@pytest.mark.parametrize("line", ENV_LINES)
@given(PASSWORDS)
@example("hun/?#@:ter2")
@example("hun' ter2")
@example('hun" ter2')
@example("hun\\ ter2")
@example("hun # ter2")
@example("hun=ter2")
@example("hun host=ter2")
@example('hun", "host": "ter2')
@example("hun&dbname=ter2")
def test_password_is_masked_in_a_line_of_an_env_file(line: str, password: str) -> None:
    for written in (password, quote(password, safe=""), password.replace("'", "\\'")):
        masked = redact_env_line(line.format(written))
        assert "hun" not in masked


URIS = (
    "postgresql://app:{}@db1:5432,db2/jobs?sslmode=require",
    "postgresql://app:{}@db1",
    "mysql://app:{}@db1/jobs",
    "postgresql://app:/sec/{}",
    "postgresql://db1/jobs?user=app&password={}",
    "postgresql://app@db1/jobs?user=app;password={}",
    "jdbc:postgresql://db1/jobs?user=app&password={}",
)


@pytest.mark.parametrize("uri", URIS)
@pytest.mark.parametrize(
    "password", ["hun@ter2", "hun?x@ter2", "hun?host=x@ter2", "hun/@ter2", "hun@x/ter2", "hun@x?y=ter2"]
)
def test_every_piece_of_a_password_is_masked_in_a_uri(uri: str, password: str) -> None:
    masked = redact_dsn(uri.format(password))
    assert "hun" not in masked
    assert "ter2" not in masked


def test_login_of_a_uri_ends_where_libpq_ends_it() -> None:
    dsn = "postgresql://app:s?x@cret@db1/jobs"
    parameters = libpq.parse(dsn)
    assert (parameters["user"], parameters["password"], parameters["host"]) == ("app", "s?x", "cret@db1")
    assert redact_dsn(dsn) == f"postgresql://{MASK}"


@pytest.mark.parametrize(
    "line", ["password={}", "pasword={}", "password {}", "sslpassword={}", "{}", "host=postgresql://a:{}@b"]
)
@given(PASSWORDS)
def test_password_is_masked_in_a_line_of_a_service_file(line: str, password: str) -> None:
    masked = redact_service_line(line.format(password))
    assert "hun" not in masked
    assert "ter2" not in masked


@pytest.mark.parametrize(
    "line",
    [
        f"{P}DSN=postgresql://app@db1:5432,[::1]:5433/jobs?sslmode=require&connect_timeout=3",
        f"{P}DSN=host=db1,db2 port=5432 user=app dbname='my jobs'",
        f"{P}CONNECTOR=aiopg",
        f"{P}CONNECTION__HOST=db1.example.com",
        f"export {P}CONNECTION__SSLMODE=requre",
        f"{P}POOL__MIN_SIZE=4",
        f"{P}POOL__MIN_SZIE=4",
        f"{P}POOL__TIMEUOT=30s",
        f"{P}POOL__CONFIGURE=myapp.database:configure",
        f'{P}POOL={{"min_size": 1, "max_siz": 4}}',
        f"{P}POOL=null",
        f"{P}PASSWORD_FILE=/run/secrets/db",
        "PGHOST=db1",
        "PGSERVICEFILE=pg_service.conf",
    ],
)
def test_safe_line_is_shown_unchanged(line: str) -> None:
    assert redact_env_line(line) == line


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "connection",
        "connection.host.x",
        "connection.pasword",
        "connection.password",
        "database_url",
        "dsn",
        "password_command",
        "pool",
        "pool.kwargs",
        "pool.max_size.x",
    ],
)
def test_value_of_an_unknown_or_secret_setting_is_masked(setting: str) -> None:
    assert redact_value(setting, SECRET) == MASK


@pytest.mark.parametrize(
    "line", ["HUNTER2 and more", "hunter2=='", "MIIEvQIBADANBgkqhkiG9w0BAQEFAAS=='", "PGhunter2"]
)
def test_line_of_a_longer_value_is_masked(line: str) -> None:
    assert redact_env_line(line) == MASK


def test_comment_is_left_out() -> None:
    assert redact_env_line("PGHOST=db1 # was: hunter2") == "PGHOST=db1"


def test_redacted_dsn_is_readable() -> None:
    assert redact_dsn("postgresql://app:hunter2@db1:5432/jobs?sslmode=requre") == (
        f"postgresql://app:{MASK}@db1:5432/jobs?sslmode=requre"
    )
    assert redact_dsn("host=db1 password='hun ter2' user=app") == f"host=db1 password={MASK} user=app"


MISPLACED = {
    "an @ in the query": f"{P}DSN=postgresql://db1/jobs?user=app&password={SECRET}@{SECRET}",
    "an @ in a foreign query": f"DATABASE_URL=mysql://db1/jobs?user=app&password={SECRET}@{SECRET}",
    "a ? in the login": f"{P}DSN=postgresql://app:{SECRET}?x@{SECRET}@db1/jobs",
    "a slash": f"{P}DSN=postgresql://app:/{SECRET}/{SECRET}",
    "a comma": f"{P}DSN=postgresql://app:s3,{SECRET}/jobs",
    "JDBC": f"{P}DSN=jdbc:postgresql://db1/jobs?user=app&password={SECRET}",
    "semicolons": f"{P}DSN=host=db1;user=app;password={SECRET}",
    "semicolons in a query": f"{P}DSN=postgresql://db1/jobs?user=app;password={SECRET}",
    "ADO.NET": f"{P}DSN=Server=db1;Database=jobs;User Id=app;Password={SECRET}",
    "a host": f"{P}CONNECTION__HOST=postgresql://app:{SECRET}@db1/jobs",
    "a host without a scheme": f"{P}CONNECTION__HOST=app:{SECRET}@db1",
    "a database": f"{P}CONNECTION__DBNAME=postgresql://app:{SECRET}@db1/jobs",
    "a database of pairs": f"{P}CONNECTION__DBNAME=host=db1 password={SECRET}",
    "a user": f"{P}CONNECTION__USER=app:{SECRET}@db1",
    "PGHOST": f"PGHOST=postgresql://app:{SECRET}@db1/jobs",
    "PGSERVICE": f"PGSERVICE=postgresql://app:{SECRET}@db1/jobs",
    "PGPASSFILE": f"PGPASSFILE=postgresql://app:{SECRET}@db1/jobs",
    "JSON": f'{P}CONNECTION={{"host": "postgresql://app:{SECRET}@db1/jobs"}}',
    "JSON's name": f'{P}CONNECTION={{"postgresql://app:{SECRET}@db1/jobs": 1}}',
    "the connector": f"{P}CONNECTOR=postgresql://app:{SECRET}@db1/jobs",
    "the defaults": f"{P}DEFAULTS=postgresql://app:{SECRET}@db1/jobs",
    "the functions": f"{P}JSON_DUMPS=postgresql://app:{SECRET}@db1/jobs",
    "the password file": f"{P}PASSWORD_FILE=postgresql://app:{SECRET}@db1/jobs",
    "the password file, a password with a slash": f"{P}PASSWORD_FILE=s3/{SECRET}",
    "the password file, a password with a dot": f"{P}PASSWORD_FILE={SECRET}.x",
    "the password file, a password with a tilde": f"{P}PASSWORD_FILE=~{SECRET}",
    "the password file, a password with a backslash": f"{P}PASSWORD_FILE=s3\\{SECRET}",
    "the password file, a password behind a slash": f"{P}PASSWORD_FILE=/{SECRET}",
    "libpq's password file, a password": f"PGPASSFILE={SECRET}",
    "libpq's password file, a password with a slash": f"PGPASSFILE=s3/{SECRET}",
    "the command": f"{P}PASSWORD_COMMAND={SECRET}",
    "the command, a password with a slash": f"{P}PASSWORD_COMMAND=s3/{SECRET} | cat",
    "the port": f"{P}CONNECTION__PORT={SECRET}",
    "the sslmode": f"{P}CONNECTION__SSLMODE={SECRET}",
    "the line of another shell": f"set {P}CONNECTION__PASSWORD={SECRET}",
    "the pool": f"{P}POOL=postgresql://app:{SECRET}@db1/jobs",
    "the pool's name": f"{P}POOL__NAME=postgresql://app:{SECRET}@db1/jobs",
    "a pool option": f"{P}POOL__MAX_SIZE=postgresql://app:{SECRET}@db1/jobs",
}
"""Where people write the password, or all of a URL, and nothing expects it."""


@pytest.mark.subprocess
@pytest.mark.parametrize("about", MISPLACED)
def test_check_and_show_do_not_print_a_misplaced_password(about: str, tmp_path: Path) -> None:
    commands = [["check"], ["check", "--format", "json"], ["show", "--all"], ["show", "--format", "json"]]
    more_faults = f"{P}CONNECTION__SSLMODE=requre\nPGUSER=other\n"
    for text, wanted in (("", commands), (more_faults, commands[::3])):
        (tmp_path / ".env").write_text(f"{MISPLACED[about]}\n{text}")
        for done in run_all(tmp_path, wanted):
            assert done.stderr == ""
            assert SECRET not in done.stdout, done.args


@pytest.mark.subprocess
@pytest.mark.parametrize("about", MISPLACED)
def test_doctor_does_not_print_a_misplaced_password(about: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{MISPLACED[about]}\nPGPORT={free_port()}\nPGCONNECT_TIMEOUT=2\n")
    command = ["doctor", "--strict", "--timeout", "3", "--format"]
    for done in run_all(tmp_path, [[*command, "text"], [*command, "json"]]):
        assert done.stderr == ""
        assert SECRET not in done.stdout, done.args


ELSEWHERE = {
    "host": f"app:{SECRET}@localhost",
    "passfile": f"s3/{SECRET}",
    "port": SECRET,
    "sslmode": SECRET,
    "pasword": SECRET,
}
"""Keywords with a password in their place, as a service file and a secrets directory have them."""


@pytest.mark.subprocess
@pytest.mark.parametrize("keyword", ELSEWHERE)
@pytest.mark.parametrize("source", ["service", "secrets"])
def test_misplaced_password_in_a_service_file_or_secrets_directory_is_not_printed(
    source: str, keyword: str, tmp_path: Path
) -> None:
    (tmp_path / "secrets").mkdir()
    if source == "service":
        (tmp_path / "services").write_text(f"[jobs]\n{keyword}={ELSEWHERE[keyword]}\n")
        (tmp_path / ".env").write_text("PGSERVICE=jobs\nPGSERVICEFILE=services\n")
    else:
        (tmp_path / "secrets" / f"{P}CONNECTION__{keyword.upper()}").write_text(ELSEWHERE[keyword])
    commands = (["check"], ["check", "--format", "sarif"], ["show", "--all"], ["doctor", "--timeout=2"])
    for done in run_all(tmp_path, [[*command, "--secrets-dir", "secrets"] for command in commands]):
        assert SECRET not in done.stdout + done.stderr, done.args


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("no host postgresql://app:hunter2@db1/jobs here", f"no host {MASK} here"),
        ("definition of service 'app:hunter2@db1' not found", f"definition of service '{MASK}' not found"),
        ("the connection to db1;password=hunter2;x may", f"the connection to db1;password={MASK};x may"),
        ("names -----BEGIN PRIVATE KEY-----\nhunter2\n", f"names {MASK}"),
        (f"names {'hunter2' * 40}, which", f"names {MASK}, which"),
        ("write postgresql://user:password@host:5432/database, or", None),
        (".env:1 PGHOST: libpq connects to [::1]:5432 as app@tenant", None),
        ("password_file (.env:1 X): /run/db cannot be used", None),
    ],
)
def test_redact_masks_what_looks_like_a_secret(sentence: str, shown: str | None) -> None:
    assert redact(sentence) == (shown or sentence)


@pytest.mark.subprocess
@pytest.mark.parametrize(
    "keyword", ["password", "oauth_client_secret", "pasword", "Password", "pwd", "auth_token"]
)
def test_piece_of_a_secret_is_not_shown_as_an_unknown_keyword(keyword: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{P}DSN=host=h flavour=sweet {keyword}=foo bar{SECRET}=baz\n")
    done = run(tmp_path, "check")
    assert "the DSN sets flavour" in done.stdout
    assert SECRET not in done.stdout


ENCODED = [
    b64encode(f"postgresql://app:{SECRET}@localhost/{dbname}".encode()).decode()
    for dbname in ("jobs", "job", "jo")
]


@pytest.mark.subprocess
@pytest.mark.parametrize("dsn", [*ENCODED, *(one[1:] for one in ENCODED), f"{SECRET}=", f"host=h {SECRET}="])
def test_token_with_an_equals_sign_is_not_shown_as_an_unknown_keyword(dsn: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"{P}DSN={dsn}\n")
    for done in run_all(tmp_path, [["check"], ["check", "--format", "json"], ["show", "--all"]]):
        assert done.returncode == 1
        assert dsn.rstrip("=").removeprefix("host=h ") not in done.stdout + done.stderr, done.args
