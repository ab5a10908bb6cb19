"""Every rule has an example that breaks it, and is explained by its code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from procrastinate_conn.checks.catalogue import all_checks, all_rules
from procrastinate_conn.cli.rule import CATEGORIES
from procrastinate_conn.problems import Rule
from tests.checks.running import run
from tests.installed import needs
from tests.other_versions import other_versions

ROOT = Path(__file__).parents[2]

OTHER_VERSIONS = {
    "PC306": ["psycopg-pool>=3.3"],
    "PC310": ["psycopg-pool<3.3"],
    "PC311": ["psycopg-pool>=3.3", "psycopg<3.3"],
}
"""The versions with which an example breaks its rule, if it does not with all of them."""

LIBPQS = {"PC402": ["libpq>=18", "psycopg2-libpq<18"]}

CERTIFICATE = Path(__file__).parent / "corpus" / "in-order-client-certificate" / "client.pem"
PACKAGE = {
    "acme-1.0.dist-info/METADATA": "Name: acme\nVersion: 1.0\n",
    "acme-1.0.dist-info/entry_points.txt": "[procrastinate_conn.connectors]\nacme = acme:KIND\n",
}
FILES = {"PC405": PACKAGE, "PC406": PACKAGE, "PC505": {"client.pem": CERTIFICATE.read_text()}}
"""What an example takes for given, as it would be too long to show."""

HIDDEN = {"PC401": ["aiopg"], "PC405": ["acme"], "PC406": ["acme"]}
ENVIRONMENT = {"PC403": {"PSYCOPG_IMPL": "c"}}


@pytest.mark.subprocess
@pytest.mark.parametrize("rule", all_rules().values(), ids=lambda rule: rule.code)
def test_example_breaks_its_rule_and_no_other(rule: Rule, tmp_path: Path) -> None:
    needs(*LIBPQS.get(rule.code, ()))
    folder = tmp_path / "example"
    folder.mkdir()
    for name, text in {
        ".env": rule.example.env,
        **rule.example.files,
        **FILES.get(rule.code, {}),
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    done = run(
        folder,
        "check",
        *rule.example.arguments,
        "--format",
        "json",
        environment=ENVIRONMENT.get(rule.code, {}),
        hidden=HIDDEN.get(rule.code, ()),
        import_first=other_versions(*OTHER_VERSIONS.get(rule.code, ())),
    )
    [configuration] = json.loads(done.stdout)["configurations"]
    found = {problem["code"]: problem["severity"] for problem in configuration["problems"]}
    assert found.get(rule.code) == rule.severity
    errors = {code for code, severity in found.items() if severity == "error"}
    assert errors <= {rule.code}, "an example is about one mistake"


def test_every_defined_rule_is_in_the_catalogue_with_a_code_of_its_own() -> None:
    definition = re.compile(r'^[A-Z_]+ = Rule\(\n    "(\w+)",$', re.MULTILINE)
    files = (ROOT / "procrastinate_conn").rglob("*.py")
    codes = [code for file in files for code in definition.findall(file.read_text())]
    assert sorted(codes) == list(all_rules())
    assert all(re.fullmatch(r"PC[1-9][0-9]{2}", code) and code[2] in CATEGORIES for code in codes)


def test_every_module_of_checks_with_rules_is_run() -> None:
    files = (ROOT / "procrastinate_conn" / "checks").glob("*.py")
    with_rules = {file.stem for file in files if " = Rule(\n" in file.read_text()}
    # The runner reports its rules by itself: they are about what cannot be read as a configuration.
    with_rules -= {"project", "settings_object"}
    assert with_rules <= {check.__module__.rpartition(".")[2] for check in all_checks()}


@pytest.mark.parametrize("rule", all_rules().values(), ids=lambda rule: rule.code)
def test_rule_has_complete_texts(rule: Rule) -> None:
    assert rule.why.endswith(".")
    assert rule.fix[-1] in ".`0123456789"
    assert not rule.title.endswith(".")
    assert rule.example.env or rule.example.given


@pytest.mark.subprocess
def test_rule_command_explains_a_code_in_any_case(tmp_path: Path) -> None:
    done = run(tmp_path, "rule", "pc301")
    rule = all_rules()["PC301"]
    text = " ".join(done.stdout.split())
    assert (done.returncode, done.stderr) == (0, "")
    assert all(part in text for part in (rule.code, rule.title, rule.why, rule.fix, rule.example.env))


@pytest.mark.subprocess
def test_rule_command_without_a_code_lists_all_rules(tmp_path: Path) -> None:
    done = run(tmp_path, "rule")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith("  PC")] == list(
        all_rules()
    )


@pytest.mark.subprocess
@pytest.mark.parametrize(
    ("code", "suggestion"),
    [
        ("PC31", "did you mean PC3"),
        ("301", "did you mean PC301?"),
        ("banana", "`procrastinate-conn rule` lists them"),
        ("PC999", "`procrastinate-conn rule` lists them"),
    ],
)
def test_unknown_code_is_wrong_usage_with_a_suggestion(code: str, suggestion: str, tmp_path: Path) -> None:
    done = run(tmp_path, "rule", code)
    assert (done.returncode, done.stdout) == (2, "")
    assert suggestion in " ".join(done.stderr.replace("│", "").split())


@pytest.mark.subprocess
def test_markdown_has_a_section_for_each_rule_under_its_category(tmp_path: Path) -> None:
    done = run(tmp_path, "rule", "--format", "markdown")
    headings = re.findall(r"^(##|###) (.+)$", done.stdout, re.MULTILINE)
    expected = []
    for digit, section in CATEGORIES.items():
        expected.append(("##", section))
        rules = (rule for code, rule in all_rules().items() if code[2] == digit)
        expected += [("###", f"{rule.code}: {rule.title}") for rule in rules]
    assert headings == expected
    sections = re.split(r"^### ", done.stdout, flags=re.MULTILINE)[1:]
    for rule, text in zip(all_rules().values(), sections, strict=True):
        assert f"Severity: {rule.severity}\n" in text
        assert rule.why in text
        assert f"**What to do:** {rule.fix}\n" in text
        assert all(line in text for line in rule.example.env.split("\n"))
