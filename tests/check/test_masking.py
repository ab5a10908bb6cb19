"""A source line that is shown has no secret in it, however it is written."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from procrastinate_conn.reporting.masking import masked_dsn, masked_service_line, masked_variable
from procrastinate_conn.spec.connection import MASK

P = "PROCRASTINATE_CONN_"

PASSWORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12).map(
    lambda middle: f"hun{middle}ter2"
)
"""Passwords whose two ends are told from everything else in a line; anything may be between them."""

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
def test_a_password_is_masked_in_an_env_file(line: str, password: str) -> None:
    for written in (password, quote(password, safe=""), password.replace("'", "\\'")):
        masked = masked_variable(line.format(written))
        assert "hun" not in masked


@pytest.mark.parametrize(
    "line", ["password={}", "pasword={}", "password {}", "sslpassword={}", "{}", "host=postgresql://a:{}@b"]
)
@given(PASSWORDS)
def test_a_password_is_masked_in_a_service_file(line: str, password: str) -> None:
    masked = masked_service_line(line.format(password))
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
def test_what_is_harmless_is_shown(line: str) -> None:
    assert masked_variable(line) == line


def test_a_comment_is_left_out() -> None:
    assert masked_variable("PGHOST=db1 # was: hunter2") == "PGHOST=db1"


def test_a_dsn_stays_readable() -> None:
    assert masked_dsn("postgresql://app:hunter2@db1:5432/jobs?sslmode=requre") == (
        f"postgresql://app:{MASK}@db1:5432/jobs?sslmode=requre"
    )
    assert masked_dsn("host=db1 password='hun ter2' user=app") == f"host=db1 password={MASK} user=app"
