"""The commands `connectors` and `schema`, and shell completion."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import psycopg2
import pytest

from procrastinate_conn import libpq
from procrastinate_conn.pool.parameters import known_options
from procrastinate_conn.registry import REGISTRY, ConnectorKind
from procrastinate_conn.setting_names import SETTINGS
from tests.checks.running import run

pytestmark = pytest.mark.subprocess


def test_connectors_lists_versions_and_abilities(tmp_path: Path) -> None:
    listed = json.loads(run(tmp_path, "connectors", "--format", "json").stdout)["connectors"]
    assert [kind["kind"] for kind in listed] == list(ConnectorKind)
    libpqs = {"psycopg": psycopg.pq.version(), "psycopg2": psycopg2.__libpq_version__}
    for kind in listed:
        info = REGISTRY[ConnectorKind(kind["kind"])]
        number = libpqs["psycopg2" if "psycopg2" in info.drivers else "psycopg"]
        assert kind == {
            "kind": kind["kind"],
            "class": f"{info.class_module}.{info.class_name}",
            "default": kind["kind"] == "psycopg",
            "usable": True,
            "install": None,
            "drivers": kind["drivers"],
            "libpq": f"{number // 10000}.{number % 10000}" if info.has_server else None,
            "defers": ["sync", "async"] if info.asynchronous else ["sync"],
            "runs_worker": info.asynchronous,
            "package": None,
        }
        assert tuple(kind["drivers"]) == info.drivers
    assert listed[0]["drivers"] == {"psycopg": version("psycopg")}


@pytest.mark.parametrize("driver", ["aiopg", "psycopg2", "sqlalchemy"])
def test_connectors_names_extra_of_missing_driver(driver: str, tmp_path: Path) -> None:
    done = run(tmp_path, "connectors", "--format", "json", hidden=[driver])
    for kind in json.loads(done.stdout)["connectors"]:
        info = REGISTRY[ConnectorKind(kind["kind"])]
        assert kind["usable"] == (driver not in info.drivers)
        if not kind["usable"]:
            assert kind["install"] == f"pip install 'procrastinate-conn[{info.extra}]'"
            assert (kind["drivers"][driver], kind["libpq"]) == (None, None)


def test_no_kind_is_usable_without_libpq_for_psycopg(tmp_path: Path) -> None:
    done = run(tmp_path, "connectors", "--format", "json", environment={"PSYCOPG_IMPL": "c"})
    install = {kind["kind"]: kind["install"] for kind in json.loads(done.stdout)["connectors"]}
    assert install["psycopg"] == "pip install 'procrastinate-conn[binary]'"
    assert install["psycopg2"] == "pip install 'procrastinate-conn[binary,psycopg2]'"
    assert None not in install.values()


def test_connectors_table_fits_80_columns(tmp_path: Path) -> None:
    done = run(tmp_path, "connectors", environment={"COLUMNS": "80"})
    assert all(kind in done.stdout for kind in ConnectorKind)
    assert all(info.class_name in done.stdout for info in REGISTRY.values())
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_connectors_table_has_every_column_on_a_narrow_terminal(tmp_path: Path) -> None:
    done = run(tmp_path, "connectors", environment={"COLUMNS": "40"})
    assert {"yes", "sync", "no"} <= set(done.stdout.split())


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return json.loads(run(tmp_path_factory.mktemp("schema"), "schema").stdout)


def test_schema_is_valid_against_its_metaschema(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == jsonschema.Draft202012Validator.META_SCHEMA["$id"]
    jsonschema.Draft202012Validator.check_schema(schema)


def options(schema: dict[str, Any]) -> dict[str, Any]:
    [alternative] = [a for a in schema["properties"]["pool"]["anyOf"] if "properties" in a]
    assert alternative["additionalProperties"] is False
    return alternative["properties"]


def test_schema_has_every_setting_keyword_and_pool_option(schema: dict[str, Any]) -> None:
    assert list(schema["properties"]) == list(SETTINGS)
    assert list(schema["properties"]["connection"]["properties"]) == list(libpq.keywords())
    assert set(options(schema)) == set(known_options(ConnectorKind.PSYCOPG, null=False))


def test_every_property_of_schema_has_description_and_variable(schema: dict[str, Any]) -> None:
    described = {
        **{f"{name.upper()}": part for name, part in schema["properties"].items()},
        **{
            f"CONNECTION__{name.upper()}": part
            for name, part in schema["properties"]["connection"]["properties"].items()
        },
        **{f"POOL__{name.upper()}": part for name, part in options(schema).items()},
    }
    for name, part in described.items():
        assert part["description"].endswith("."), name
        assert part["x-variable"] == f"PROCRASTINATE_CONN_{name}"


def test_schema_has_units_defaults_and_choices(schema: dict[str, Any]) -> None:
    keywords = schema["properties"]["connection"]["properties"]
    assert keywords["connect_timeout"] | {"description": ""} == {
        "description": "",
        "x-variable": "PROCRASTINATE_CONN_CONNECTION__CONNECT_TIMEOUT",
        "x-unit": "seconds",
        "type": ["integer", "string"],
        "default": "10",
    }
    assert "verify-full" in keywords["sslmode"]["enum"]
    assert keywords["password"]["writeOnly"] is True
    assert options(schema)["timeout"]["x-unit"] == "seconds"
    assert options(schema)["min_size"]["default"] == 4


@pytest.mark.parametrize(
    ("settings", "valid"),
    [
        ({}, True),
        ({"connector": "aiopg", "dsn": "postgresql://localhost/jobs"}, True),
        ({"connection": {"host": "db1,db2", "port": 5432, "sslmode": "verify-full"}}, True),
        ({"pool": {"min_size": 1, "max_size": 4, "timeout": 30, "max_idle": "10m"}}, True),
        ({"pool": "null", "json_dumps": "json:dumps", "defaults": "libpq"}, True),
        ({"connector": "psycopg3"}, False),
        ({"dns": "postgresql://localhost/jobs"}, False),
        ({"connection": {"hots": "db1"}}, False),
        ({"connection": {"sslmode": "requre"}}, False),
        ({"pool": {"min_szie": 1}}, False),
        ({"pool": {"min_size": "four"}}, False),
        ({"pool": "nul"}, False),
        ({"json_dumps": "json.dumps"}, False),
        ({"defaults": "resilent"}, False),
    ],
    ids=str,
)
def test_schema_accepts_only_valid_settings(
    settings: dict[str, Any], valid: bool, schema: dict[str, Any]
) -> None:
    assert jsonschema.Draft202012Validator(schema).is_valid(settings) == valid


def test_schema_without_libpq_exits_with_1_and_hint(tmp_path: Path) -> None:
    done = run(tmp_path, "schema", environment={"PSYCOPG_IMPL": "c"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "procrastinate-conn[binary]" in done.stderr


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("check --connector s", {kind for kind in ConnectorKind if kind.startswith("s")}),
        ("show --connector a", {kind for kind in ConnectorKind if kind.startswith("a")}),
        ("check --format s", {"sarif"}),
        ("check --select PC30", {f"PC30{digit}" for digit in range(1, 10)}),
        ("rule PC31", {f"PC31{digit}" for digit in range(7)}),
        ("con", {"connectors"}),
    ],
)
def test_shell_completion_offers_values(words: str, expected: set[str], tmp_path: Path) -> None:
    parts = ["procrastinate-conn", *words.split()]
    done = run(
        tmp_path,
        script="from procrastinate_conn.cli import app; app(prog_name='procrastinate-conn')",
        environment={
            "_PROCRASTINATE_CONN_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(parts),
            "COMP_CWORD": str(len(parts) - 1),
        },
    )
    assert {line.split(",")[-1] for line in done.stdout.split()} == expected
