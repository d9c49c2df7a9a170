"""Builds helm and kubeconform in build/helm, and writes the schemas of Kubernetes there."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from tests.helm.schemas import convert_definition, convert_swagger
from tests.support.clients import find_program
from tests.support.gateway.process import ROOT

BUILD = ROOT / "build" / "helm"
CHART = ROOT / "deploy" / "helm" / "stockwatch"
VALUES = Path(__file__).with_name("values")

HELM = "helm.sh/helm/v3/cmd/helm@v3.22.0"
KUBECONFORM = "github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0"
KUBERNETES = {"1.31": "k8s.io/kubernetes@v1.31.0", "1.37": "k8s.io/kubernetes@v1.37.2"}
"""The oldest version that the chart accepts, and the newest."""
OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
DEFINITIONS = {
    "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml": OPERATOR,
    "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml": OPERATOR,
    "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml": "sigs.k8s.io/gateway-api@v1.4.1",
}
"""Files with a CustomResourceDefinition, and the module of Go that holds each of them."""

BUILD_TIMEOUT_SECONDS = 900


def run_go(*arguments: str, **variables: str) -> str:
    go = find_program("go", "install Go 1.26 or newer")
    ended = subprocess.run(
        [go, *arguments],
        cwd=BUILD,
        env={**os.environ, "GO111MODULE": "on", **variables},
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def build(package: str) -> str:
    """Returns the path of the program, which is built unless this version has been built before."""
    folder = BUILD / package.replace("/", "+")
    program = folder / package.partition("@")[0].rpartition("/")[2]
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run_go("install", "-p", "1", package, GOBIN=str(folder))
    return str(program)


def find_module(module: str) -> Path:
    """Returns the folder of a module of Go, which is downloaded if the cache lacks it."""
    BUILD.mkdir(parents=True, exist_ok=True)
    return Path(json.loads(run_go("mod", "download", "-json", module))["Dir"])


def write_schemas(version: str) -> Path:
    """Returns the folder with the schemas of a version of Kubernetes and of the CustomResourceDefinitions."""
    folder = BUILD / "schemas" / version
    folder.mkdir(parents=True, exist_ok=True)
    swagger = find_module(KUBERNETES[version]) / "api" / "openapi-spec" / "swagger.json"
    for name, schema in convert_swagger(json.loads(swagger.read_bytes())):
        (folder / name).write_text(json.dumps(schema))
    for path, module in DEFINITIONS.items():
        definition = yaml.load((find_module(module) / path).read_bytes(), Loader=yaml.CSafeLoader)
        for name, schema in convert_definition(definition):
            (folder / name).write_text(json.dumps(schema))
    return folder


def run_helm(program: str, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `helm lint` or `helm template` on the chart."""
    named = ["stockwatch", str(CHART)] if command == "template" else [str(CHART)]
    return subprocess.run(
        [program, command, *named, "--kube-version", "1.37.0", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def render(program: str, values: str, *arguments: str) -> list[dict[str, Any]]:
    """Returns the objects of the chart with a file of values."""
    ended = run_helm(
        program, "template", "--namespace", "prices", "--values", str(VALUES / f"{values}.yaml"), *arguments
    )
    assert ended.returncode == 0, ended.stderr
    return [document for document in yaml.load_all(ended.stdout, Loader=yaml.CSafeLoader) if document]
