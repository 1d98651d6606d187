"""The units: what they say, and how they are installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from rowhooks.cli import call
from rowhooks.service.units import (
    CONSOLE_PLAIN,
    CONSOLE_TEMPLATE,
    MARK,
    PLAIN,
    TEMPLATE,
    WORKER_PLAIN,
    WORKER_TEMPLATE,
    unit_text,
)

UNITS = {
    PLAIN: "run", TEMPLATE: "run", CONSOLE_PLAIN: "console", CONSOLE_TEMPLATE: "console",
    WORKER_PLAIN: "worker", WORKER_TEMPLATE: "worker",
}  # fmt: skip
"""The units, and the command that each runs."""
KINDS = [(name, user) for user in (False, True) for name in UNITS]


def directives(name: str, user: bool) -> list[str]:
    """Return a unit's lines without its comments."""
    text = unit_text(name, "/usr/bin/rowhooks", user=user)
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize("user", [False, True])
def test_the_template_is_the_unit_with_the_instances_name(user: bool) -> None:
    plain, template = (directives(name, user) for name in (PLAIN, TEMPLATE))
    named = [
        line.replace("rowhooks: receivers", "rowhooks for %i: receivers")
        .replace("/rowhooks.toml", "/%i.toml")
        .replace(":rowhooks.", ":rowhooks.%i.")
        for line in plain
    ]
    assert template == named
    assert plain != template


@pytest.mark.parametrize("user", [False, True])
def test_the_consoles_template_is_its_unit_with_the_instances_name(user: bool) -> None:
    plain, template = (directives(name, user) for name in (CONSOLE_PLAIN, CONSOLE_TEMPLATE))
    named = [
        line.replace("rowhooks console:", "rowhooks console for %i:")
        .replace("/rowhooks.toml", "/%i.toml")
        .replace(":rowhooks-console.", ":rowhooks-console.%i.")
        .replace("RuntimeDirectory=rowhooks-console", "RuntimeDirectory=rowhooks-console.%i")
        for line in plain
    ]
    assert template == named
    assert plain != template


@pytest.mark.parametrize("user", [False, True])
def test_a_workers_template_is_its_unit_with_the_instances_name(user: bool) -> None:
    plain, template = (directives(name, user) for name in (WORKER_PLAIN, WORKER_TEMPLATE))
    named = [
        line.replace("rowhooks worker:", "rowhooks worker for %i:")
        .replace("/rowhooks.toml", "/%i.toml")
        .replace(":rowhooks-worker.", ":rowhooks-worker.%i.")
        for line in plain
    ]
    assert template == named
    assert plain != template


@pytest.mark.parametrize(("name", "user"), KINDS)
def test_nothing_is_left_to_fill_in(name: str, user: bool) -> None:
    text = unit_text(name, "/usr/bin/rowhooks", user=user)
    assert f"ExecStart=/usr/bin/rowhooks {UNITS[name]} --config " in text
    assert not re.search("@[A-Z]+@", text)


@pytest.mark.parametrize(("name", "user"), KINDS)
def test_no_secret_is_on_a_command_line(name: str, user: bool) -> None:
    commands = [line for line in directives(name, user) if line.startswith(("Exec", "Environment"))]
    assert [line for line in commands if re.search("dsn|password", line)] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
@pytest.mark.parametrize("name", UNITS)
def test_the_exposure_is_at_most_1_5(name: str, tmp_path: Path) -> None:
    unit = tmp_path / name
    unit.write_text(unit_text(name, "/usr/bin/true"), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert re.search(r"Overall exposure level for \S+: 1\.[0-5] OK", done.stdout), done.stdout + done.stderr
    assert done.returncode == 0


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of one's own, and a systemctl that writes down what it is told; it refuses what `refuse` names."""
    (tmp_path / "bin").mkdir()
    log = tmp_path / "called"
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.write_text(
        f'#!/bin/sh\necho "$*" >> {log}\nif [ "$2" = "$(cat {tmp_path}/refuse 2>/dev/null)" ]; then\n'
        "echo no such bus >&2; exit 1; fi\n"
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return log


def test_a_users_service_is_written_and_enabled(
    called: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["systemd", "install", "--user"]) == 0
    unit = (tmp_path / ".config/systemd/user/rowhooks.service").read_text()
    assert unit.startswith(MARK)
    command = re.search(r"^ExecStart=(\S+) run --config %E/rowhooks/rowhooks.toml$", unit, re.MULTILINE)
    assert command is not None
    assert Path(command[1]).is_file()
    assert called.read_text().splitlines() == ["--user daemon-reload", "--user enable rowhooks.service"]
    printed = capsys.readouterr()
    assert "rowhooks.service enabled" in printed.out
    assert f"write its settings into {tmp_path}/.config/rowhooks/rowhooks.toml" in printed.err


def test_the_console_is_a_service_of_its_own(called: Path, tmp_path: Path) -> None:
    directory = tmp_path / ".config/systemd/user"
    assert call(["systemd", "install", "--user"]) == 0
    assert call(["systemd", "install", "--user", "--console"]) == 0
    assert " console --config %E/rowhooks/rowhooks.toml\n" in (directory / "rowhooks-console.service").read_text()
    assert call(["systemd", "uninstall", "--user", "--console"]) == 0
    assert [path.name for path in directory.iterdir()] == ["rowhooks.service"]
    assert called.read_text().splitlines()[-2:] == [
        "--user disable --now rowhooks-console.service",
        "--user daemon-reload",
    ]


def test_a_worker_is_a_service_of_its_own_too(called: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / ".config/systemd/user"
    assert call(["systemd", "install", "--user", "--worker"]) == 0
    assert (
        " worker --config %E/rowhooks/rowhooks.toml $WORKER_OPTIONS\n"
        in (directory / "rowhooks-worker.service").read_text()
    )
    assert call(["systemd", "install", "--user", "--worker", "--console"]) == 2
    assert "--console and --worker are two services" in capsys.readouterr().err
    assert call(["systemd", "uninstall", "--user", "--worker"]) == 0
    assert list(directory.iterdir()) == []
    assert called.read_text().splitlines()[-2:] == [
        "--user disable --now rowhooks-worker.service",
        "--user daemon-reload",
    ]


@pytest.mark.parametrize("unit", ["rowhooks.service", "rowhooks-worker.service", "rowhooks-console.service"])
def test_a_users_service_is_watched_as_the_systems_is(unit: str) -> None:
    def watched(path: Path) -> list[str]:
        names = ("Type=", "TimeoutStartSec=", "TimeoutStopSec=", "TimeoutAbortSec=", "WatchdogSec=", "Restart")
        return sorted(line for line in path.read_text().splitlines() if line.startswith(names))

    units = Path(__file__).parents[2] / "systemd"
    assert watched(units / "user" / unit) == watched(units / unit)


def test_it_can_be_installed_again_and_started(called: Path) -> None:
    assert call(["systemd", "install", "--user"]) == 0
    assert call(["systemd", "install", "--user", "--now"]) == 0
    assert called.read_text().splitlines()[-1] == "--user restart rowhooks.service"


def test_instances_share_a_template_which_goes_with_the_last_one(called: Path, tmp_path: Path) -> None:
    directory = tmp_path / ".config/systemd/user"
    for name in ("one", "two"):
        assert call(["systemd", "install", "--user", "--instance", name]) == 0
    assert "--user enable rowhooks@two.service" in called.read_text()
    # What systemctl makes.
    wants = directory / "default.target.wants"
    wants.mkdir()
    (wants / "rowhooks@two.service").symlink_to(directory / "rowhooks@.service")
    assert call(["systemd", "uninstall", "--user", "--instance", "one"]) == 0
    assert (directory / "rowhooks@.service").exists()
    (wants / "rowhooks@two.service").unlink()
    assert call(["systemd", "uninstall", "--user", "--instance", "two"]) == 0
    assert not (directory / "rowhooks@.service").exists()
    assert "--user disable --now rowhooks@two.service" in called.read_text()


def test_a_unit_that_is_not_ours_is_left_alone(
    called: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = tmp_path / ".config/systemd/user/rowhooks.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\n")
    for what in ("install", "uninstall"):
        assert call(["systemd", what, "--user"]) == 1
        assert f"{unit} was not written by `rowhooks systemd install`" in capsys.readouterr().err
    assert unit.read_text() == "[Service]\n"
    assert not called.exists()


def test_what_systemd_refuses_is_said(called: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "refuse").write_text("enable")
    assert call(["systemd", "install", "--user"]) == 1
    assert "`systemctl --user enable rowhooks.service` failed: no such bus" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "a/b", "a b", "-a", "../x"])
def test_a_name_that_cannot_be_an_instances_is_refused(
    called: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["systemd", "install", "--user", f"--instance={name}"]) == 2
    assert "cannot be the name of an instance" in capsys.readouterr().err


def test_nothing_is_uninstalled_where_nothing_is(called: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["systemd", "uninstall", "--user"]) == 2
    assert "nothing is installed" in capsys.readouterr().err


def test_without_systemd_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    assert call(["systemd", "install"]) == 2
    assert "there is no systemctl" in capsys.readouterr().err


def test_the_system_is_roots(called: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert call(["systemd", "install"]) == 2
    assert "only root can write system units" in capsys.readouterr().err


def test_a_command_that_the_service_could_not_see_is_refused(
    called: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scripts = tmp_path / "closed" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "rowhooks").touch()
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(scripts))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert call(["systemd", "install"]) == 2
    assert f"the service could not see {scripts}/rowhooks, which is below" in capsys.readouterr().err
    assert not called.exists()
