"""What the files of the chart say, without Helm."""

import json
import re
import tomllib
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import get_commands

from stockwatch import settings
from tests.helm.tools import CHART, VALUES
from tests.support.gateway.process import ROOT

DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
SETTINGS = settings.env.defaults
PREFIXES = tuple(name.removesuffix("*") for name in SETTINGS if name.endswith("*"))
HELPERS = (CHART / "templates" / "_helpers.tpl").read_text()


def programs() -> dict[str, dict[str, Any]]:
    """Returns the table of programs that the templates use."""
    [table] = re.findall(r'define "stockwatch.programs" -}}\n(.*?){{- end', HELPERS, re.DOTALL)
    return yaml.safe_load(table)


def read_values(name: str) -> dict[str, Any]:
    return yaml.safe_load((VALUES / f"{name}.yaml").read_text())


def merge(values: Any, changes: Any) -> Any:
    """Returns the values as Helm merges them: maps key by key, all others as a whole."""
    if not (isinstance(values, dict) and isinstance(changes, dict)):
        return changes
    return {**values, **{key: merge(values.get(key), change) for key, change in changes.items()}}


def environments(values: dict[str, Any]) -> list[dict[str, str]]:
    """Returns all maps of variables."""
    return [
        values.get("env", {}),
        *(each["env"] for each in values.values() if isinstance(each, dict) and "env" in each),
    ]


def is_setting(name: str) -> bool:
    return name in SETTINGS or name.startswith(PREFIXES)


@pytest.mark.parametrize("name", sorted(path.stem for path in VALUES.glob("*.yaml")))
def test_the_schema_accepts_the_values(name: str):
    jsonschema.Draft7Validator(SCHEMA).validate(merge(DEFAULTS, read_values(name)))


def test_the_schema_knows_every_default():
    assert SCHEMA["properties"].keys() - {"global"} == DEFAULTS.keys()
    for name in programs():
        assert SCHEMA["properties"][name]["properties"].keys() == DEFAULTS[name].keys()


@pytest.mark.parametrize("changes", [{}, {"host": "stocks.example.org"}, {"existingSecret": "stockwatch"}])
def test_host_and_secret_must_be_named(changes: dict[str, Any]):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(SCHEMA).validate(merge(DEFAULTS, changes))


@pytest.mark.parametrize("name", sorted(name for name in SETTINGS if not name.endswith("*")))
def test_every_setting_can_be_set_and_secrets_only_by_the_secret(name: str):
    is_secret = name.startswith("SECRET_KEY") or name.endswith(("PASSWORD", "SECRET_KEY"))
    values = merge(DEFAULTS, merge(read_values("minimal"), {"env": {name: "text"}}))
    assert jsonschema.Draft7Validator(SCHEMA).is_valid(values) is not is_secret


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("redis://redis.example.org:6379/0", True),
        ("unix:///run/redis.sock?db=0", True),
        ("postgres://stockwatch@postgres:5432/stockwatch", True),
        ("postgres://stockwatch:secret@postgres:5432/stockwatch", False),
        ("rediss://:secret@redis:6379/0", False),
    ],
)
def test_an_address_with_a_password_belongs_into_the_secret(address: str, accepted: bool):
    values = merge(DEFAULTS, merge(read_values("minimal"), {"env": {"REDIS_URL": address}}))
    assert jsonschema.Draft7Validator(SCHEMA).is_valid(values) is accepted


@pytest.mark.parametrize("values", [DEFAULTS, *(read_values(path.stem) for path in sorted(VALUES.glob("*.yaml")))])
def test_every_variable_of_the_chart_is_a_setting(values: dict[str, Any]):
    names = {name for variables in environments(values) for name in variables}
    assert [name for name in names if not is_setting(name)] == []


def test_every_variable_in_the_templates_is_a_setting():
    texts = [path.read_text() for path in sorted((CHART / "templates").iterdir())]
    names = {name for text in texts for name in re.findall(r"\b[A-Z]+_[A-Z_]*[A-Z]\b", text)}
    assert len(names) > 10
    assert [name for name in names if not is_setting(name)] == []


def test_every_program_is_a_command_with_a_port_of_its_own():
    commands = {about["command"] for about in programs().values()}
    assert commands <= get_commands().keys()
    ports = {about["port"]: DEFAULTS["env"][about["port"]] for about in programs().values()}
    assert len(set(ports.values())) == len(ports)


def test_the_chart_runs_every_command_that_compose_runs():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    lines = [service["command"] for service in services if "manage.py" in service.get("command", [])]
    ours = {about["command"] for about in programs().values()} | {"migrate", "purge"}
    assert {line[line.index("manage.py") + 1] for line in lines} == ours


def test_programs_that_must_not_run_twice_have_one_pod():
    alone = {name for name, about in programs().items() if about.get("single")}
    assert alone == {"generator", "feed", "recorder"}
    assert {
        name for name in programs() if SCHEMA["properties"][name]["properties"]["replicas"]["maximum"] == 1
    } == alone


def test_chart_and_programs_have_the_same_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def leaves(values: dict[str, Any], path: str = "") -> list[str]:
    """Returns the dotted names of all values. Variables and resources count as one value."""
    found = []
    for key, value in values.items():
        name = f"{path}{key}"
        whole = key in {"env", "resources", "podSecurityContext", "securityContext"} or key.endswith("nnotations")
        found += leaves(value, f"{name}.") if isinstance(value, dict) and value and not whole else [name]
    return found


def test_the_readme_of_the_chart_describes_every_value():
    rows = re.findall(r"^\| (`[^|]*`) \|", (CHART / "README.md").read_text(), re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    common = {"enabled", "replicas", "env", "podAnnotations", "resources"}
    values = {
        f"PROGRAM.{name.partition('.')[2]}"
        if name.partition(".")[0] in programs() and name.partition(".")[2] in common
        else name
        for name in leaves(DEFAULTS)
    }
    assert documented == values
