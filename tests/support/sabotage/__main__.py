"""python -m tests.support.sabotage: takes mechanisms away one after another; see the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.sabotage import EVERYTHING, VARIABLE
from tests.support.sabotage.mechanism import Sabotage

ROOT = Path(__file__).parents[3]


def main(words: list[str]) -> int:
    """Break what is asked for; return how many mechanisms were not missed."""
    chosen = [one for one in EVERYTHING if not words or any(word in f"{one.promise} {one.mechanism}" for word in words)]
    unnoticed = 0
    for one in chosen:
        noticed = is_noticed(one)
        unnoticed += not noticed
        verdict = "noticed" if noticed else "NOT NOTICED"
        sys.stdout.write(f"{verdict}: {one.promise}. without: {one.mechanism} ({one.test})\n")
        sys.stdout.flush()
    return unnoticed


def is_noticed(one: Sabotage) -> bool:
    """Say whether the test fails without the mechanism; print what pytest said where it does not."""
    file, _, name = one.test.partition(" ")
    path = [str(Path(__file__).parent / "startup"), str(ROOT), str(ROOT / "daemon"), os.environ.get("PYTHONPATH", "")]
    # A file and -k: the test may have parameters.
    # The breakage has imported rowhooks, and tests.support, before pytest.
    quiet = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    pytest = ["-m", "pytest", "-x", "-q", "--timeout", "100", "-p", "no:cacheprovider", *quiet]
    done = subprocess.run(
        [sys.executable, *pytest, f"tests/{file}", "-k", f"test_{name}"],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "ROWHOOKS_TEST_PATIENCE": "10",
            "HYPOTHESIS_PROFILE": "first failure",
            VARIABLE: one.mechanism,
        },
    )  # fmt: skip
    # A test that cannot be collected, or code that cannot be imported, shows nothing.
    failed = done.returncode == 1 and f"FAILED tests/{file}::test_{name}" in done.stdout
    if not failed:
        sys.stdout.write(done.stdout[-1500:] + done.stderr[-1500:])
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
