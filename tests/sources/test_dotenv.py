"""An env file, read as python-dotenv reads it, and the line of every variable in it."""

from __future__ import annotations

import io

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from procrastinate_conn.sources.base import SourceOptions
from procrastinate_conn.sources.dotenv import read_dotenv

FILES = {
    "the first line": ("PGPORT=1\n", 1),
    "behind a comment": ("# one\n# two\nPGPORT=1\n", 3),
    "behind blank lines": ("\n\n  \n\t\nPGPORT=1\n", 5),
    "indented": ("\n   PGPORT=1\n", 2),
    "exported": ("PGUSER=u\nexport PGPORT=1\n", 2),
    "between single quotes": ("PGUSER='u # not a comment'\nPGPORT='1'\n", 2),
    "between double quotes": ('PGUSER="u \\" v"\nPGPORT="1"\n', 2),
    "behind a value of several lines": ("PGOPTIONS='a\nb\n\nc'\nPGPORT=1\n", 5),
    "behind a value of several lines, between double quotes": ('PGOPTIONS="a\nb"\nPGPORT=1\n', 3),
    "with a comment behind it": ("PGPORT=1 # comment\n", 1),
    "behind a line that is none": ("nonsense here\nPGPORT=1\n", 2),
    "with blanks around the sign": ("PGUSER=u\n\nPGPORT = 1\n", 3),
    "the last of two": ("PGPORT=2\nPGUSER=u\nPGPORT=1\n", 3),
    "with CRLF": ("# one\r\n\r\nPGPORT=1\r\n", 3),
    "with CR": ("# one\rPGPORT=1\r", 2),
    "behind a byte order mark": ("\ufeffPGPORT=1\n", 1),
    "without an end": ("\n\nPGPORT=1", 3),
    "behind a form feed": ("\f\nPGPORT=1\n", 2),
    "expanded": ("PGUSER=1\nPGPORT=${PGUSER}\n", 2),
}


@pytest.mark.parametrize(("text", "line"), FILES.values(), ids=FILES)
def test_variable_has_the_line_of_its_name(text, line, tmp_path):
    file = tmp_path / ".env"
    file.write_text(text, encoding="utf-8", newline="")
    source = read_dotenv(file)
    sourced = source.variables["PGPORT"]
    assert (sourced.value, sourced.origin.line, sourced.origin.file) == ("1", line, str(file))


PIECES = st.one_of(
    st.sampled_from(
        ["\n", " \n", "# PGPORT=9\n", "PGUSER=u\n", "export PGAPPNAME='a\n\nb'\n", "nonsense x\n"]
    ),
    st.sampled_from(
        ['PGOPTIONS="a\nb"\n', "PGHOST\n", "  PGDATABASE=d # x\n", "\t\n", "PGSSLMODE='a\\'\n'\n"]
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(PIECES, max_size=6).map("".join), st.sampled_from(["", " ", "export ", "\t"]))
def test_variable_below_any_lines_has_its_own_line(tmp_path_factory, above, before):
    text = f"{above}{before}PGPORT=1\n{above}"
    file = tmp_path_factory.mktemp("file") / ".env"
    file.write_text(text)
    source = read_dotenv(file)
    assert source.variables["PGPORT"].origin.line == above.count("\n") + 1
    for name, sourced in source.variables.items():
        line = text.splitlines()[sourced.origin.line - 1]
        assert line.strip().removeprefix("export ").startswith(name)


@settings(max_examples=200, deadline=None)
@given(st.text("PGA='\"\\ #${}\n\rx", max_size=40))
def test_values_are_those_of_python_dotenv(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("file") / ".env"
    file.write_text(text, newline="")
    values = dotenv_values(stream=io.StringIO(file.read_text()))
    expected = {k: v for k, v in values.items() if k.startswith("PG") and v is not None}
    assert {k: sourced.value for k, sourced in read_dotenv(file).variables.items()} == expected


def test_malformed_line_is_a_warning_with_its_line(tmp_path):
    file = tmp_path / ".env"
    file.write_text("PGUSER=u\n\nPGPORT='1\n")
    [problem] = read_dotenv(file).problems
    assert (problem.code, problem.severity, problem.origin.line) == ("PC104", "warning", 3)


def test_env_file_that_is_not_utf8_is_an_error_without_its_content(tmp_path):
    file = tmp_path / ".env"
    file.write_bytes(b"PGPASSWORD=h\xfcsh\n")
    [problem] = read_dotenv(file).problems
    assert problem.severity == "error"
    assert "byte 12" in problem.message


def test_name_without_value_unsets_the_line_above(tmp_path):
    file = tmp_path / ".env"
    file.write_text("PGPORT=1\nPGUSER=u\nPGPORT\n")
    source = read_dotenv(file)
    assert set(source.variables) == {"PGUSER"}
    [problem] = source.problems
    assert (problem.code, problem.origin.line) == ("PC104", 3)


UNDEFINED = {
    "nowhere": ("PGHOST=${NO_SUCH_HOST}\n", ["${NO_SUCH_HOST}"]),
    "twice": ("PGHOST=${NO_SUCH_HOST}${NOR_THIS}\n", ["${NO_SUCH_HOST}", "${NOR_THIS}"]),
    "below": ("PGHOST=${PGUSER}\nPGUSER=u\n", ["${PGUSER}"]),
    "above": ("PGUSER=u\nPGHOST=${PGUSER}\n", []),
    "in the environment": ("PGHOST=${SET}\n", []),
    "with a default": ("PGHOST=${NO_SUCH_HOST:-h}${NOR_THIS:-}\n", []),
    "in another program's variable": ("SHOP_HOST=${NO_SUCH_HOST}\n", []),
    "in what may be a password": ("PGPASSWORD=hu${sh}\n", ["${...}"]),
}


@pytest.mark.parametrize(("text", "named"), UNDEFINED.values(), ids=UNDEFINED)
def test_reference_to_an_undefined_variable_is_a_warning(text, named, tmp_path):
    file = tmp_path / ".env"
    file.write_text(text)
    problems = read_dotenv(file, SourceOptions(environment={"SET": ""})).problems
    assert [problem.code for problem in problems] == ["PC111"] * len(named)
    for problem, name in zip(problems, named, strict=True):
        assert name in problem.message


def test_byte_order_mark_is_no_part_of_a_secret(written):
    written.secrets(PROCRASTINATE_CONN_CONNECTION__PASSWORD="\ufeffhush\n")
    assert written.read().spec.parameters["password"] == "hush"


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ('{"host": "db1", port: 1}', " at character 17"),
        ("hush", " is not a JSON object"),
        ("[1]", " JSON object"),
    ],
)
def test_malformed_json_is_an_error_with_its_position(tmp_path, value, where):
    (tmp_path / ".env").write_text(f"PROCRASTINATE_CONN_CONNECTION={value}\n")
    [problem] = read_dotenv(tmp_path / ".env").problems
    assert problem.code == "PC102"
    assert problem.message.endswith(where)


def test_last_line_of_a_setting_counts_in_any_case(tmp_path):
    file = tmp_path / ".env"
    name = "PROCRASTINATE_CONN_CONNECTION__PORT"
    file.write_text(f"{name}=1\n{name.lower()}=2\n{name}=3\n")
    source = read_dotenv(file)
    assert source.settings["connection", "port"].value == "3"
    assert [problem.origin.line for problem in source.problems] == [1, 2]
