"""What Helm makes of the chart. `make test-helm` runs these tests."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.helm.tools import KUBERNETES, VALUES, render, run_helm

pytestmark = pytest.mark.helm

FILES = sorted(path.stem for path in VALUES.glob("*.yaml"))


def of_kind(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    """Returns the specs of the objects of a kind, by name without the name of the release."""
    found = [each for each in objects if each["kind"] == kind]
    prefix = "stockwatch-"
    return {each["metadata"]["name"].removeprefix(prefix): each.get("spec", each) for each in found}


def pod_specs(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Returns the specs of all pods."""
    found = {name: spec["template"]["spec"] for name, spec in of_kind(objects, "Deployment").items()}
    found |= {name: spec["template"]["spec"] for name, spec in of_kind(objects, "Job").items()}
    for name, spec in of_kind(objects, "CronJob").items():
        found[name] = spec["jobTemplate"]["spec"]["template"]["spec"]
    return found


def variables_of(pod: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod["containers"][0]["env"] if "value" in each}


@pytest.mark.parametrize("values", FILES)
def test_helm_lint_finds_nothing(helm: str, values: str):
    ended = run_helm(helm, "lint", "--strict", "--values", str(VALUES / f"{values}.yaml"))
    assert ended.returncode == 0, ended.stdout
    assert "1 chart(s) linted, 0 chart(s) failed" in ended.stdout


def validate(kubeconform: str, folder: Path, objects: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns kubeconform's report: its summary, and the objects that are invalid."""
    location = f"{folder}/{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json"
    command = [kubeconform, "-strict", "-summary", "-output", "json", "-schema-location", location]
    ended = subprocess.run(
        command, input=yaml.safe_dump_all(objects), capture_output=True, text=True, timeout=60, check=False
    )
    return json.loads(ended.stdout)


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", FILES)
def test_kubernetes_knows_every_field(helm: str, kubeconform: str, schemas, values: str, version: str):
    objects = render(helm, values)
    report = validate(kubeconform, schemas(version), objects)
    assert report["resources"] == []
    assert report["summary"] == {"valid": len(objects), "invalid": 0, "errors": 0, "skipped": 0}


def test_fields_that_kubernetes_does_not_know_are_found(helm: str, kubeconform: str, schemas):
    objects = {each["kind"]: each for each in render(helm, "everything")}
    for each in objects.values():
        each.get("spec", each)["preStop"] = {}
    invalid = validate(kubeconform, schemas("1.37"), list(objects.values()))["resources"]
    assert {each["kind"] for each in invalid} == objects.keys()
    assert all("additional properties 'preStop' not allowed" in each["msg"] for each in invalid)


@pytest.mark.parametrize("values", FILES)
def test_every_pod_runs_without_rights(helm: str, values: str):
    for name, pod in pod_specs(render(helm, values)).items():
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        [container] = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["envFrom"] == [{"secretRef": {"name": "stockwatch"}}]


def test_a_program_that_must_not_run_twice_ends_before_its_successor_starts(helm: str):
    deployments = of_kind(render(helm, "everything", "--set", "nameOverride="), "Deployment")
    strategies = {name: spec["strategy"] for name, spec in deployments.items()}
    alone = {"generator", "feed", "recorder"}
    assert {name for name, strategy in strategies.items() if strategy == {"type": "Recreate"}} == alone
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    assert all(strategies[name] == rolling for name in strategies.keys() - alone)


@pytest.mark.parametrize(
    ("drain", "seconds"), [("60s", 85), ("1m30s", 115), ("500ms", 30), ("1h", 3625), ("0s", 30), ("1.5m", 115)]
)
def test_a_gateway_has_time_to_close_its_sockets(helm: str, drain: str, seconds: int):
    deployments = of_kind(render(helm, "minimal", "--set-string", f"env.GATEWAY_MAX_DRAIN={drain}"), "Deployment")
    for name in ("gateway", "web"):
        pod = deployments[name]["template"]["spec"]
        assert pod["terminationGracePeriodSeconds"] == seconds
        assert pod["containers"][0]["lifecycle"] == {"preStop": {"sleep": {"seconds": 10}}}


def test_a_gateway_starts_when_it_is_ready_and_stays_while_it_is_alive(helm: str):
    container = of_kind(render(helm, "minimal"), "Deployment")["gateway"]["template"]["spec"]["containers"][0]
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/readyz", "readiness": "/livez", "liveness": "/livez"}


def test_a_port_that_a_setting_changes_changes_everywhere(helm: str):
    objects = render(helm, "minimal", "--set-string", "env.PROCESSOR_METRICS_PORT=9999")
    pod = of_kind(objects, "Deployment")["processor"]["template"]["spec"]
    assert pod["containers"][0]["ports"] == [{"name": "metrics", "containerPort": 9999}]
    assert variables_of(pod)["PROCESSOR_METRICS_PORT"] == "9999"
    assert of_kind(objects, "Service")["processor"]["ports"][0]["port"] == 9999


def test_a_variable_of_one_program_replaces_the_common_one(helm: str):
    arguments = ["--set-string", "env.LOGGER_LEVEL=warn", "--set-string", "feed.env.LOGGER_LEVEL=debug"]
    pods = pod_specs(render(helm, "minimal", *arguments))
    levels = {name: variables_of(pod)["LOGGER_LEVEL"] for name, pod in pods.items()}
    assert levels.pop("feed") == "debug"
    assert set(levels.values()) == {"warn"}


def test_variables_follow_from_the_host_name_unless_they_are_set(helm: str):
    pods = pod_specs(render(helm, "minimal", "--set-string", "env.ALLOWED_HOSTS=a.example.org"))
    variables = variables_of(pods["web"])
    assert variables["ALLOWED_HOSTS"] == "a.example.org"
    origin = "https://stocks.example.org"
    assert {variables[name] for name in ("CSRF_TRUSTED_ORIGINS", "GATEWAY_ALLOWED_ORIGINS", "SITE_URL")} == {origin}


def test_the_pods_of_the_gateway_follow_the_number_of_connections(helm: str):
    objects = render(helm, "everything", "--set", "nameOverride=")
    scaler = of_kind(objects, "HorizontalPodAutoscaler")["gateway"]
    [metric] = scaler["metrics"]
    assert metric["pods"]["metric"]["name"] == "stockwatch_connections"
    assert metric["pods"]["target"] == {"type": "AverageValue", "averageValue": "15000"}
    assert "replicas" not in of_kind(objects, "Deployment")["gateway"]


def test_only_programs_with_several_pods_have_a_disruption_budget(helm: str):
    budgets = of_kind(render(helm, "minimal"), "PodDisruptionBudget")
    assert budgets.keys() == {"gateway", "web", "processor", "alerts", "delivery"}
    assert all(spec["maxUnavailable"] == 1 for spec in budgets.values())


def test_the_job_of_a_metric_does_not_depend_on_the_name_of_the_release(helm: str):
    [monitor] = of_kind(render(helm, "everything"), "ServiceMonitor").values()
    for endpoint in monitor["endpoints"]:
        [relabeling] = endpoint["relabelings"]
        assert (relabeling["targetLabel"], relabeling["replacement"]) == ("job", "stockwatch-$1")
    services = [each for each in render(helm, "everything") if each["kind"] == "Service"]
    components = {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in services}
    assert components == {"gateway", "web", "processor", "recorder", "feed", "generator", "alerts", "delivery"}


def test_rules_for_alerts_are_taken_as_they_are(helm: str):
    [rule] = of_kind(render(helm, "everything"), "PrometheusRule").values()
    [alert] = rule["groups"][0]["rules"]
    assert alert["annotations"] == {"summary": "No prices on {{ $labels.instance }}"}


def test_sockets_go_to_the_gateway_and_pages_to_web(helm: str):
    objects = render(helm, "everything", "--set", "nameOverride=")
    [route] = of_kind(objects, "HTTPRoute").values()
    for rule, name in zip(route["rules"], ["stockwatch-gateway", "stockwatch-web"], strict=True):
        assert rule["backendRefs"][0]["name"] == name
    assert route["rules"][0]["timeouts"] == {"request": "0s", "backendRequest": "0s"}
    backends = {
        path["path"]: path["backend"]["service"]["name"]
        for spec in of_kind(objects, "Ingress").values()
        for path in spec["rules"][0]["http"]["paths"]
    }
    assert backends == {"/ws": "stockwatch-gateway", "/stream": "stockwatch-gateway", "/": "stockwatch-web"}


def test_without_web_the_gateway_gets_all_requests(helm: str):
    ingresses = of_kind(render(helm, "small"), "Ingress").values()
    paths = [path for spec in ingresses for path in spec["rules"][0]["http"]["paths"]]
    assert {path["backend"]["service"]["name"] for path in paths} == {"stockwatch-gateway"}


def test_the_tables_are_created_before_the_programs_start(helm: str):
    [job] = [each for each in render(helm, "minimal") if each["kind"] == "Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["command"][2:] == ["migrate", "--no-input"]
    # At the first installation, nothing else of the chart exists.
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "default"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "env.SECRET_KEY=x"], "at '/env/SECRET_KEY'"),
        (["--set", "gateway.env.REDIS_PASSWORD=x"], "at '/gateway/env/REDIS_PASSWORD'"),
        (["--set", "env.REDIS_URL=rediss://user:secret@redis:6379/0"], "at '/env/REDIS_URL'"),
        (["--set", "env.GATEWAY_PROCESSES=2"], "at '/env/GATEWAY_PROCESSES': got number, want string"),
        (["--set", "host=https://stocks.example.org"], "at '/host'"),
        (["--set", "existingSecret="], "at '/existingSecret'"),
        (["--set", "generator.replicas=2"], "at '/generator/replicas': maximum: got 2, want 1"),
        (["--set", "recorder.replicas=2"], "at '/recorder/replicas'"),
        (["--set", "feed.replicas=2"], "at '/feed/replicas'"),
        (["--set", "replicas=2"], "additional properties 'replicas' not allowed"),
        (["--set", "httpRoute.enabled=true"], "at '/httpRoute/parentRefs'"),
        (["--set", "prometheusRule.enabled=true"], "at '/prometheusRule/rules'"),
        (["--set", "processor.replicas=5"], "processor.replicas is 5, more than the 4 partitions of the topic"),
        (["--set", "alerts.replicas=5"], "alerts.replicas is 5, more than the 4 partitions"),
        (["--set", "ingress.enabled=true"], "set env.GATEWAY_TRUSTED_PROXIES"),
        (["--set-string", "env.FEED_METRICS_PORT=0"], 'env.FEED_METRICS_PORT is "0": it must name a port'),
        (["--set", "env.KAFKA_GROUP_INSTANCE_ID=a"], "KAFKA_GROUP_INSTANCE_ID must be another one for each processor"),
        (
            ["--set", "gateway.autoscaling.enabled=true,gateway.autoscaling.connections=10000"],
            "gateway.autoscaling.connections is 10000, not below GATEWAY_MAX_CONNECTIONS (10000)",
        ),
        (["--set", "gateway.autoscaling.minReplicas=11"], "minReplicas is more than maxReplicas"),
        (["--kube-version", "1.30.9"], "chart requires kubeVersion"),
    ],
)
def test_a_wrong_value_is_refused(helm: str, arguments: list[str], message: str):
    ended = run_helm(helm, "template", "--values", str(VALUES / "minimal.yaml"), *arguments)
    assert ended.returncode == 1
    assert message in ended.stderr
