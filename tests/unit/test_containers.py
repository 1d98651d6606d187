"""The Dockerfiles and the manifests: they are well formed, and name commands, settings and addresses that there are."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from psycopg.conninfo import conninfo_to_dict

from rowhooks.cli import whole
from rowhooks.observability.http import HealthServer
from rowhooks.receivers.loading import load_receivers
from rowhooks.receivers.registry import take_registered
from rowhooks.runtime.daemon import LAST_MOMENTS
from rowhooks.runtime.leader import FLUSH_TIMEOUT
from rowhooks.settings import Settings, load_settings
from tests.support.health import Observed
from tests.support.pages import blocks

CHECKOUT = Path(__file__).resolve().parents[2]
DOCKERFILES = [CHECKOUT / "Dockerfile", *sorted((CHECKOUT / "contrib").rglob("*Dockerfile"))]
KUBERNETES = CHECKOUT / "contrib" / "kubernetes"
MANIFESTS = [path for path in sorted(KUBERNETES.rglob("*.yaml")) if path.name != "kustomization.yaml"]
KUSTOMIZATIONS = sorted(KUBERNETES.rglob("kustomization.yaml"))
RELEASES = ("1.25", "1.37")
"""Of Kubernetes: the oldest and the newest of which there are schemas."""
OPERATOR = ["ServiceMonitor"]
"""What has no schema of Kubernetes': a resource of the Prometheus operator."""
VARIABLES = {f"ROWHOOKS_{name.upper()}" for name in Settings.model_fields} | {"CREDENTIALS_DIRECTORY"}
KUBECTL = shutil.which("kubectl")


def resources() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text("utf-8"))


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each pod's specification, with the name of what makes it."""
    for one in resources():
        if "template" in one.get("spec", {}):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile, with what follows each."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def parse(arguments: list[str]) -> str:
    """Parse a command line of rowhooks; return its command."""
    command: Any = whole()
    context = None
    while hasattr(command, "commands"):
        name, *arguments = arguments
        context = command.context_class(command, info_name=name, parent=context)
        command = command.commands[name]
    command.make_context(command.name, arguments, parent=context)
    return str(command.name)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_dockerfile_has_no_fault_that_hadolint_finds(path: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_starts_the_daemon_as_no_root_and_asks_it_for_its_health() -> None:
    found = instructions(CHECKOUT / "Dockerfile")
    last = dict(found)
    assert re.fullmatch(r"BASE=[\w./-]+:[\d.]+-slim-\w+", found[0][1]), "the base is pinned"
    assert [rest.split()[0] for name, rest in found if name == "FROM"] == ["${BASE}", "${BASE}"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"]), "by number, for runAsNonRoot"
    assert parse([*json.loads(last["ENTRYPOINT"])[1:], *json.loads(last["CMD"])]) == "run"
    environment = dict(word.split("=", 1) for name, rest in found if name == "ENV" for word in shlex.split(rest))
    assert {name for name in environment if name.startswith("ROWHOOKS_")} <= VARIABLES
    assert environment["ROWHOOKS_HTTP_LISTEN"].endswith(f":{last['EXPOSE']}")
    assert "'/livez'" in last["HEALTHCHECK"]
    assert "ROWHOOKS_HTTP_LISTEN" in last["HEALTHCHECK"]
    assert not re.search("(?i)password|token|dsn", " ".join(rest for name, rest in found if name in ("ARG", "ENV")))


def test_what_the_wheel_is_built_from_comes_into_the_image_and_nothing_else() -> None:
    kept = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    hook = re.search(r"for name in \((.*?)\):", (CHECKOUT / "hatch_build.py").read_text("utf-8"))
    assert hook is not None
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {"pyproject.toml", "hatch_build.py", "constraints.txt", "daemon", project["readme"]}
    assert kept == needed | {*project["license-files"]} | {*re.findall(r'"(\w+)"', hook[1])}
    assert "*" in (CHECKOUT / ".dockerignore").read_text("utf-8").splitlines()


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: str(path.relative_to(KUBERNETES)))
def test_a_manifest_is_what_kubernetes_takes(path: Path, release: str) -> None:
    for resource in yaml.safe_load_all(path.read_text("utf-8")):
        if resource["kind"] in OPERATOR:
            continue
        kubernetes_validate.validate(resource, release, strict=True)


def test_a_manifest_with_a_fault_is_refused() -> None:
    [daemon] = [one for one in resources() if one["kind"] == "Deployment" and one["metadata"]["name"] == "rowhooks"]
    daemon["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessProb"):
        kubernetes_validate.validate(daemon, RELEASES[1], strict=True)


@pytest.mark.parametrize("path", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_a_kustomization_names_each_file_beside_it(path: Path) -> None:
    made = yaml.safe_load(path.read_text("utf-8"))
    files = [name for one in made.get("configMapGenerator", []) for name in one["files"]]
    named = [*made["resources"], *made.get("components", []), *files]
    assert [name for name in named if not (path.parent / name).exists()] == []
    beside = {one.name for one in path.parent.iterdir() if one.is_file()} - {path.name}
    assert beside <= {*named}


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
def test_kustomize_makes_the_example_of_them() -> None:
    made = [one for name in ("example", "init") for one in kustomized(name)]
    for resource in made:
        if resource["kind"] not in OPERATOR:
            kubernetes_validate.validate(resource, RELEASES[1], strict=True)
    by_kind = {(one["kind"], one["metadata"]["name"]): one for one in made}
    for name in ("rowhooks", "rowhooks-worker"):
        workload = by_kind["Deployment", name]["spec"]
        assert workload["template"]["spec"]["containers"][0]["image"] == "registry.example/shop/rowhooks:1"
        # Its settings are those that were generated, under the name that changes with the content.
        volumes = {one["name"]: one for one in workload["template"]["spec"]["volumes"]}
        assert ("ConfigMap", volumes["settings"]["configMap"]["name"]) in by_kind
        assert ("Secret", volumes["credentials"]["secret"]["secretName"]) in by_kind
        assert workload["selector"]["matchLabels"].items() <= workload["template"]["metadata"]["labels"].items()
    # A policy with an empty selector would cut off the whole namespace.
    for one in made:
        if one["kind"] in ("NetworkPolicy", "PodDisruptionBudget"):
            selector = one["spec"].get("podSelector", one["spec"].get("selector"))
            assert selector["matchLabels"]["app.kubernetes.io/name"] == "rowhooks"


def kustomized(name: str) -> Iterator[dict[str, Any]]:
    assert KUBECTL is not None
    done = subprocess.run(
        [KUBECTL, "kustomize", str(KUBERNETES / name)], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    yield from yaml.safe_load_all(done.stdout)


def test_the_pods_call_commands_and_set_what_there_is() -> None:
    called = {}
    for name, pod in pods():
        [container] = pod["containers"]
        called[name] = parse(container["args"])
        assert {one["name"] for one in container["env"]} <= VARIABLES
        mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert {*mounted} == {one["name"] for one in pod["volumes"]}
        assert {one["name"]: one["value"] for one in container["env"]} == {
            "CREDENTIALS_DIRECTORY": mounted["credentials"]
        }
    assert called == {"rowhooks": "run", "rowhooks-worker": "worker", "rowhooks-init": "init"}


def test_the_pods_may_do_nothing_that_they_need_not() -> None:
    for _, pod in pods():
        identity = pod["securityContext"]
        assert identity["runAsNonRoot"]
        assert f"{identity['runAsUser']}:{identity['runAsGroup']}" == dict(instructions(DOCKERFILES[0]))["USER"]
        assert identity["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {*container["resources"]} == {"requests", "limits"}


def test_the_probes_ask_for_what_the_daemon_answers() -> None:
    [pod] = [pod for name, pod in pods() if name == "rowhooks"]
    [container] = pod["containers"]
    [port] = container["ports"]
    environment = dict(instructions(DOCKERFILES[0]))["ENV"]
    assert f"ROWHOOKS_HTTP_LISTEN=0.0.0.0:{port['containerPort']}" in environment
    probes = {name: probe["httpGet"] for name, probe in container.items() if name.endswith("Probe")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startupProbe": "/livez", "livenessProbe": "/livez", "readinessProbe": "/readyz",
    }  # fmt: skip
    [service] = [one for one in resources() if one["kind"] == "Service"]
    [monitor] = [one for one in resources() if one["kind"] == "ServiceMonitor"]
    scraped = service["metadata"]["annotations"]
    assert scraped["prometheus.io/port"] == str(port["containerPort"])
    paths = {probe["path"] for probe in probes.values()} | {scraped["prometheus.io/path"]}
    paths |= {one["path"] for one in monitor["spec"]["endpoints"]}
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert {one["port"] for one in monitor["spec"]["endpoints"]} == {one["name"] for one in service["spec"]["ports"]}
    daemon = Observed()
    with HealthServer("127.0.0.1:0", daemon.health, daemon.events) as server:
        answers = {path: status_of(server, path) for path in [*paths, "/none"]}
    assert {path for path, status in answers.items() if status == 404} == {"/none"}


def status_of(server: HealthServer, path: str) -> int:
    asking = http.client.HTTPConnection("127.0.0.1", server.port)
    asking.request("GET", path)
    try:
        return asking.getresponse().status
    finally:
        asking.close()


def test_the_pods_have_time_to_end() -> None:
    longest = Settings.model_fields["grace_period"].default + FLUSH_TIMEOUT + LAST_MOMENTS
    given = {name: int(pod["terminationGracePeriodSeconds"]) for name, pod in pods() if name != "rowhooks-init"}
    assert given.keys() == {"rowhooks", "rowhooks-worker"}
    assert min(given.values()) >= longest


def test_the_settings_of_the_example_are_accepted_and_its_receivers_load(monkeypatch: pytest.MonkeyPatch) -> None:
    example = KUBERNETES / "example"
    settings = load_settings(example / "rowhooks.toml")
    assert conninfo_to_dict(settings.dsn)["user"] == "rowhooks"
    classes, problems = load_receivers(settings.receivers, example)
    take_registered()
    assert ([cls.__name__ for cls in classes], problems) == (["Greeting"], [])
    # What the daemon does not execute itself is what the workers serve.
    [worker] = [pod["containers"][0] for name, pod in pods() if name == "rowhooks-worker"]
    assert worker["args"][worker["args"].index("--queue") + 1] == settings.default_queue
    [secret] = [one for one in resources() if one["kind"] == "Secret"]
    assert secret["stringData"] == {"password": "replace me"}


def test_the_page_on_containers_sets_what_there_is() -> None:
    page = blocks("how-to/containers.md")
    [service] = (yaml.safe_load(one.text)["services"]["daemon"] for one in page if one.language == "yaml")
    assert {*service["environment"]} <= VARIABLES
    assert service["stop_grace_period"] == "1m"
    [layers] = (one.text for one in page if one.language == "dockerfile")
    # What is layered runs as the image's user again.
    assert re.findall(r"^USER (.*)$", layers, re.MULTILINE)[-1] == dict(instructions(DOCKERFILES[0]))["USER"]


def test_the_shell_of_the_tutorial_has_what_its_commands_need() -> None:
    tutorial = CHECKOUT / "contrib" / "tutorial"
    typed = [line for one in blocks("tutorial.md") if one.language == "console" for line in one.text.splitlines()]
    programs = {line.split()[1] for line in typed if line.startswith("$ ")}
    assert programs == {"createdb", "dropdb", "psql", "python", "rowhooks"}
    run = dict(instructions(tutorial / "Dockerfile"))["RUN"]
    assert {"postgresql-client", "pytest", "watchfiles"} <= {*run.split()}
    services = yaml.safe_load((tutorial / "compose.yaml").read_text("utf-8"))["services"]
    assert services["shell"]["environment"]["PGHOST"] in services
