"""The Debian package, built from the wheel; installed into a copy of this machine's files where that can be had."""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from rowhooks import __version__
from rowhooks.service.units import unit_text
from tests.support.builds import CHECKOUT

pytestmark = pytest.mark.packaging

DISTRIBUTION_PYTHON = Path(os.environ.get("ROWHOOKS_DEBIAN_PYTHON", "/usr/bin/python3"))
VERSIONS = [
    ("0.1.0.dev1", "0.1.0~dev1"),
    ("0.1.0a2.dev3", "0.1.0~a2~dev3"),
    ("0.1.0a2", "0.1.0~a2"),
    ("0.1.0rc1", "0.1.0~rc1"),
    ("0.1.0", "0.1.0"),
    ("0.1.0.post1.dev4", "0.1.0.post1~dev4"),
    ("0.1.0.post1", "0.1.0.post1"),
    ("0.1.1+local.5", "0.1.1+local.5"),
    ("1!0.0.1", "1:0.0.1"),
]


def load(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name, CHECKOUT / "packaging" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def output(*command: str | Path) -> str:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def missing() -> str | None:
    """Say what is not there to build the package with."""
    if shutil.which("dpkg-deb") is None:
        return "dpkg-deb is not installed"
    if not (Path(sysconfig.get_path("scripts")) / "nfpm").exists():
        return "nfpm is not installed (extra `package`)"
    check = [str(DISTRIBUTION_PYTHON), "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"]
    if not DISTRIBUTION_PYTHON.exists() or subprocess.run(check, check=False, capture_output=True).returncode:
        return f"{DISTRIBUTION_PYTHON} is not there, has no venv, or is older than 3.11"
    return None


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    if reason := missing():
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("debian")
    output(sys.executable, CHECKOUT / "packaging" / "manual.py", root / "build" / "share")
    (root / "dist").mkdir()
    shutil.copy(request.getfixturevalue("wheel"), root / "dist")
    made = output(sys.executable, CHECKOUT / "packaging" / "debian.py", root / "dist", root / "build")
    shutil.rmtree(root / "build")
    return Path(made.strip())


@pytest.fixture(scope="module")
def extracted(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("extracted")
    output("dpkg-deb", "--extract", package, root)
    output("dpkg-deb", "--control", package, root / "DEBIAN")
    return root


@pytest.mark.parametrize(("python", "debian"), VERSIONS)
def test_a_version_becomes_debians(python: str, debian: str) -> None:
    assert load("debian").debian_version(Version(python)) == debian


def test_dpkg_orders_the_versions_as_python_does() -> None:
    if shutil.which("dpkg") is None:
        pytest.skip("dpkg is not installed")
    assert [Version(python) for python, _ in VERSIONS] == sorted(Version(python) for python, _ in VERSIONS)
    # The first is a development version without a pre-release: see debian_version().
    for (_, older), (_, newer) in itertools.pairwise(VERSIONS[1:]):
        output("dpkg", "--compare-versions", older, "lt", newer)
    output("dpkg", "--compare-versions", "0.1.0~dev1", "lt", "0.1.0")


def test_the_package_says_what_it_is_and_needs(package: Path) -> None:
    version = load("debian").debian_version(Version(__version__))
    architecture = output("dpkg", "--print-architecture").strip()
    assert package.name == f"rowhooks_{version}_{architecture}.deb"
    assert output("dpkg-deb", "--field", package, "Package").strip() == "rowhooks"
    assert output("dpkg-deb", "--field", package, "Version").strip() == version
    depends = output("dpkg-deb", "--field", package, "Depends").strip().split(", ")
    assert DISTRIBUTION_PYTHON.resolve().name in depends


def test_the_files_are_where_the_distribution_looks_for_them(package: Path, extracted: Path) -> None:
    contents = output("dpkg-deb", "--contents", package)
    for name in (
        "share/bash-completion/completions/rowhooks", "share/zsh/vendor-completions/_rowhooks",
        "share/fish/vendor_completions.d/rowhooks.fish", "share/doc/rowhooks/copyright",
    ):  # fmt: skip
        assert (extracted / "usr" / name).stat().st_size > 0
    page = gzip.decompress((extracted / "usr/share/man/man1/rowhooks.1.gz").read_bytes())
    assert page.startswith(b".TH ROWHOOKS 1 ")
    assert list((extracted / "etc/rowhooks").iterdir()) == []
    assert str((extracted / "usr/bin/rowhooks").readlink()) == "/opt/rowhooks/bin/rowhooks"
    assert all(line.split()[1] == "root/root" for line in contents.splitlines())
    # Nobody but root may write any of it.
    assert not re.findall(r"^[-d].{7}w.*", contents, re.MULTILINE)


def test_the_units_start_the_packaged_program(extracted: Path) -> None:
    units = extracted / "usr/lib/systemd/system"
    services = {"rowhooks.service", "rowhooks@.service", "rowhooks-console.service", "rowhooks-console@.service"}
    services |= {"rowhooks-worker.service", "rowhooks-worker@.service"}
    assert {path.name for path in units.iterdir()} == services
    for path in units.iterdir():
        text = path.read_text()
        assert text == unit_text(path.name, "/usr/bin/rowhooks")
        assert re.search(r"^ExecStart=/usr/bin/rowhooks ", text, re.MULTILINE)
    users = {path.name for path in (CHECKOUT / "systemd").glob("sysusers.d/*.conf")}
    assert {path.name for path in (extracted / "usr/lib/sysusers.d").iterdir()} == users


def test_nothing_names_the_place_of_the_build(package: Path, extracted: Path) -> None:
    place = str(package.parents[1]).encode()
    guilty = [
        path
        for path in extracted.rglob("*")
        if path.is_file() and not path.is_symlink() and (place in path.read_bytes() or path.name == "direct_url.json")
    ]
    assert guilty == []
    assert (extracted / "opt/rowhooks/bin/rowhooks").read_text().startswith("#!/opt/rowhooks/bin/python\n")


def test_the_extracted_program_runs_by_the_distributions_python(extracted: Path) -> None:
    home = extracted / "opt/rowhooks"
    assert output(home / "bin/python", "-E", home / "bin/rowhooks", "--version") == f"rowhooks {__version__}\n"
    program = "import sys, rowhooks.runtime.process, uvloop, asyncpg; print(sys.base_prefix, rowhooks.__file__)"
    # -E: of a checkout on PYTHONPATH nothing is asked here.
    prefix, module = output(home / "bin/python", "-E", "-c", program).split()
    assert prefix == "/usr"
    assert Path(module).is_relative_to(home)
    output(home / "bin/python", "-E", "-c", "import rowhooks.web.server, authlib, httpx")
    # It came with bytecode, so that a service that may not write starts as fast; and none was added.
    assert all("__pycache__" in str(path) for path in home.rglob("*.pyc"))
    assert (Path(module).parent / "__pycache__").is_dir()


def test_the_maintainer_scripts_are_right(extracted: Path) -> None:
    for name in ("postinst", "prerm", "postrm"):
        script = extracted / "DEBIAN" / name
        assert script.stat().st_mode & 0o777 == 0o755
        output("sh", "-n", script)
    # The package starts nothing, so it stops nothing.
    scripts = "".join((extracted / "DEBIAN" / name).read_text() for name in ("postinst", "prerm", "postrm"))
    assert set(re.findall(r"systemctl ([a-z-]+)", scripts)) == {"daemon-reload", "list-units"}


INSTALL = """
set -e
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root" || exit 77
cp "$2" "$1/root/root/rowhooks.deb"
chroot "$1/root" /bin/sh -e -c '
    cd /
    export PATH=/usr/sbin:/usr/bin:/sbin:/bin
    dpkg --install /root/rowhooks.deb
    rowhooks --version
    if command -v man; then man -w rowhooks; fi
    if [ -e /usr/lib/sysusers.d/rowhooks.conf ] && command -v systemd-sysusers; then id rowhooks; fi
    test -d /etc/rowhooks
    dpkg --purge rowhooks
    for path in /opt/rowhooks /usr/bin/rowhooks /etc/rowhooks; do
        if [ -e $path ]; then echo "$path was left behind"; exit 1; fi
    done
    echo gone
' >&2
"""


def test_dpkg_installs_it_and_takes_it_away(package: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a root directory to install into")
    if Path("/opt/rowhooks").exists():
        pytest.skip("rowhooks' package is installed on this machine")
    for name in ("upper", "work", "root"):
        (tmp_path / name).mkdir()
    # This machine's files lie below what dpkg writes; in a mount namespace of its own, nothing remains of it.
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", INSTALL, "sh", str(tmp_path), str(package)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip(f"no overlay can be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"rowhooks {__version__}\n" in done.stderr
    assert done.stderr.endswith("gone\n")
    assert (tmp_path / "upper/opt/rowhooks").exists() is False
