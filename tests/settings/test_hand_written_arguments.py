"""make_connector with the arguments of a connector written by hand says where each belongs."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from procrastinate_conn import ConfigurationError, make_connector


def problems_of(**arguments):
    with pytest.raises(ConfigurationError) as caught:
        make_connector(**arguments)
    return caught.value.problems


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("conninfo", "did you mean dsn?"),
        ("kwargs", "write the keywords of a connection in connection={...}"),
        ("min_size", 'write pool={"min_size": ...}'),
        ("max_size", 'write pool={"max_size": ...}'),
        ("minsize", 'write pool={"min_size": ...}'),
        ("maxsize", 'write pool={"max_size": ...}'),
        ("minconn", 'write pool={"min_size": ...}'),
        ("pool_size", 'write pool={"min_size": ...}'),
        ("max_overflow", 'write pool={"max_size": ...}; max_size is the sum'),
        ("pool_use_lifo", "leave it out"),
        ("query_cache_size", "leave it out"),
        ("max_queries", "leave it out"),
        ("connection_factory", "leave it out"),
        ("echo", "leave it out; set the level"),
        ("enable_hstore", "leave it out"),
        ("future", "leave it out"),
        ("pool_pre_ping", 'write pool={"check_after": ...}'),
        ("pool_recycle", 'write pool={"max_lifetime": ...}'),
        ("timeout", 'write pool={"timeout": ...}; aiopg'),
        ("check", "leave it out: connections are checked before use anyway"),
        ("connect_args", "write the keywords of a connection in connection={...}"),
        ("poolclass", 'leave it out, and write pool="null"'),
        ("isolation_level", "leave it out: each query commits by itself"),
        ("json_serializer", "write json_dumps"),
        ("json_deserializer", "write json_loads"),
        ("configure", 'write pool={"configure": ...}'),
        ("host", 'write connection={"host": ...}'),
        ("user", 'write connection={"user": ...}'),
        ("database", 'write connection={"dbname": ...}'),
        ("url", "did you mean dsn?"),
        ("connector", "it is the first argument"),
        ("open", "leave it out"),
        ("enable_json", "leave it out"),
        ("row_factory", "leave it out"),
        ("pool_factory", "leave it out"),
        ("_env_file", "did you mean env_file?"),
        ("passwrd", "did you mean password?"),
    ],
)
def test_argument_of_another_connector_has_a_hint_where_it_belongs(argument, hint):
    [problem] = problems_of(**{argument: "x"})
    assert (problem.code, problem.severity, problem.setting) == ("PC101", "error", argument)
    assert problem.hint.startswith(hint)


def test_first_argument_that_is_a_dsn_has_the_hint_to_write_dsn():
    with pytest.raises(ConfigurationError, match="write dsn= before it"):
        make_connector("host=localhost dbname=jobs")


def test_url_of_sqlalchemy_has_the_hint_to_render_it_with_its_password():
    with pytest.raises(ConfigurationError, match=r"render_as_string\(hide_password=False\)"):
        make_connector(dsn=make_url("postgresql://app:hunter2@localhost/jobs"))


def test_all_arguments_of_another_connector_are_one_error():
    found = problems_of(conninfo="postgresql://app:hunter2@db1/jobs", min_size=1, max_size=4, open=False)
    assert [problem.setting for problem in found] == ["conninfo", "min_size", "max_size", "open"]
    assert "hunter2" not in str(ConfigurationError(found))


def test_misplaced_argument_is_reported_with_all_other_problems():
    found = problems_of(dsn="hots=db1", minsize=1)
    assert {problem.code for problem in found} == {"PC101", "PC204"}
