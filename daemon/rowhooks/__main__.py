"""The command line: `rowhooks`, and `python -m rowhooks`."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import signal
import sys

from rowhooks.domain.extras import library_missing
from rowhooks.service.first_process import let_end


def main() -> None:
    """Run the command line and exit."""
    if sys.__stderr__ is not None:
        # Where C ends the process, of a receiver's library for example, it says in which line of Python. A program that
        # calls this may have another standard error, which is no file.
        with contextlib.suppress(ValueError, OSError):
            faulthandler.enable(sys.__stderr__)
    # What is imported stays: to look for cycles among it, each 700 objects, took a tenth of the time of the imports.
    gc.set_threshold(50_000)
    # Also while the modules are imported, receivers' too, which may take long.
    let_end(signal.SIGTERM)
    try:
        from rowhooks.cli import main as run
    except ModuleNotFoundError as error:
        missing = library_missing(error, sys.argv[1:])
        sys.stderr.write(f"Error: {missing.message}\n  {missing.hint}\n")
        sys.exit(missing.exit_code)
    run()


if __name__ == "__main__":
    main()
