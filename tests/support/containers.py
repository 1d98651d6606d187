"""Images that buildah builds, and containers that podman runs, with a store of their own and without a network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.machine import CannotRun, call
from tests.support.waiting import PATIENCE, wait

TOOLS = {"buildah": "buildah", "podman": "podman", "crun": "crun", "unshare": "util-linux"}
"""Programs, and Debian's packages that have them."""
# Where the machine has the first version of control groups, crun would refuse to run beside them. What is mounted goes
# with the process.
OWN_MOUNTS = (
    "unshare", "--mount", "sh", "-c",
    'umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; exec "$@"', "sh",
)  # fmt: skip
# What a machine without CAP_SYS_RESOURCE can give too.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
CONFINED = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges")
"""As the manifests have it; and there is nothing that can be written, not even /tmp."""


class Store:
    """A store of images and containers.

    Args:
        directory: where it is.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.offline: Sequence[str] = ()
        place = [
            "--root",
            str(directory / "images"),
            "--runroot",
            str(directory / "run"),
            "--storage-driver",
            "overlay",
        ]
        self._buildah = [*OWN_MOUNTS, "buildah", *place]
        self._podman = [
            *OWN_MOUNTS, "podman", *place, "--tmpdir", str(directory / "tmp"), "--log-level", "fatal",
            "--cgroup-manager", "cgroupfs", "--events-backend", "file",
        ]  # fmt: skip

    def build(
        self, context: Path, name: str, file: Path | None = None, *, options: Sequence[str] = (), **arguments: str
    ) -> None:
        """Build an image.

        Args:
            context: the directory that it is built from.
            name: the image's.
            file: its Dockerfile; None: that of the context.
            options: more of buildah's.
            arguments: those that the Dockerfile takes.

        Raises:
            CannotRun: it cannot be built; with what was said.
        """
        given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        where = ["--file", str(file)] if file else []
        # In the format of Docker's, because the other one has no health check.
        command = ["build", "--isolation", "chroot", "--format", "docker", "--tag", f"localhost/{name}", *given, *where]
        done = subprocess.run(
            [*self._buildah, *command, *options, str(context)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise CannotRun(f"buildah: {done.stdout[-3000:]}{done.stderr[-3000:]}")

    def image(self, name: str) -> dict[str, Any]:
        """Return what is known of an image."""
        [found] = json.loads(call(*self._podman, "inspect", "--type", "image", f"localhost/{name}"))
        return dict(found)

    def run(self, image: str, *arguments: str, options: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Run a container that ends; return its exit code and what it printed."""
        name = f"c{uuid.uuid4().hex[:8]}"
        try:
            return subprocess.run(
                [*self._command(name, options), f"localhost/{image}", *arguments],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=4 * PATIENCE,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            # podman has ended, and the container goes on.
            subprocess.run([*self._podman, "rm", "--force", "--time", "0", name], check=True, capture_output=True)
            raise

    @contextmanager
    def running(self, image: str, *arguments: str, options: Sequence[str] = ()) -> Iterator[Container]:
        """Run a container until the block ends."""
        container = Container(self.directory, self._podman)
        container.start([*self._command(container.name, options), f"localhost/{image}", *arguments])
        try:
            yield container
        finally:
            container.remove()

    def _command(self, name: str, options: Sequence[str]) -> list[str]:
        return [
            *self._podman, "run", "--rm", "--name", name, "--log-driver", "none", "--network", "none",
            "--cgroups", "disabled", *LIMITS, *CONFINED, *options,
        ]  # fmt: skip


class Container:
    """A container; what it says is kept in a file.

    Args:
        directory: where it is kept.
        podman: the words with which podman is called for it.
    """

    def __init__(self, directory: Path, podman: Sequence[str]) -> None:
        self.name = f"c{uuid.uuid4().hex[:8]}"
        self.log = directory / f"{self.name}.log"
        self._podman = podman
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str]) -> None:
        """Start it."""
        with self.log.open("w") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def says(self, what: str) -> bool:
        """Say whether its log has this in it."""
        return what in self.log.read_text()

    def wait_for(self, what: str) -> None:
        """Wait until its log has this in it."""
        assert self._process is not None
        process = self._process
        wait(lambda: self.says(what) or process.poll() is not None, 2 * PATIENCE)
        assert self.says(what), self.log.read_text()

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it."""
        return self._call("exec", self.name, *command)

    def health(self) -> int:
        """Run the image's health check; return its exit code."""
        return self._call("healthcheck", "run", self.name).returncode

    def ask(self, path: str) -> int:
        """Return the status of the answer of its own port for health, as a probe gets it."""
        asking = (
            "import http.client as h; c = h.HTTPConnection('127.0.0.1', 9187); "
            f"c.request('GET', '{path}'); print(c.getresponse().status)"
        )
        done = self.execute("python", "-c", asking)
        return int(done.stdout or 0)

    def signal(self, name: str) -> None:
        """Send its first process a signal."""
        self._call("kill", "--signal", name, self.name)

    def ends(self) -> int:
        """Wait until it has ended; return its exit code."""
        assert self._process is not None
        return self._process.wait(2 * PATIENCE)

    def stop(self, seconds: float) -> int:
        """Stop it as Docker and Kubernetes do, with SIGKILL after so many seconds; return its exit code."""
        self._call("stop", "--time", str(int(seconds)), self.name)
        return self.ends()

    def remove(self) -> None:
        """End it, whatever it does."""
        if self._process is not None and self._process.poll() is None:
            self._call("rm", "--force", "--time", "0", self.name)
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGKILL)
                self._process.wait()

    def _call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._podman, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=4 * PATIENCE,
        )  # fmt: skip


@contextmanager
def store() -> Iterator[Store]:
    """Make a store; it is removed with all that is in it.

    Raises:
        CannotRun: with the reason.
    """
    if os.geteuid() != 0:
        raise CannotRun("only root can build an image and run it without a service")
    for tool, package in TOOLS.items():
        if shutil.which(tool) is None:
            raise CannotRun(f"there is no {tool} (Debian's package {package})")
    with tempfile.TemporaryDirectory(prefix="rowhooks-images-", dir="/var/tmp") as name:
        yield Store(Path(name))


def base_of(root: Path, made: Store, name: str) -> None:
    """Make an image of a root.

    Raises:
        CannotRun: no container runs here.
    """
    with tempfile.TemporaryDirectory(dir=made.directory) as directory:
        context = Path(directory)
        call("tar", "--directory", str(root), "--create", "--file", str(context / "root.tar"), ".")
        (context / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
        made.build(context, name)
    tried = made.run(name, "true")
    if tried.returncode:
        raise CannotRun(f"podman: {tried.stderr.strip().splitlines()[-1:]}")
