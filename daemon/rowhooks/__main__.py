"""The command line: `rowhooks`, and `python -m rowhooks`."""

from __future__ import annotations

import signal
import sys

from rowhooks.domain.extras import library_missing
from rowhooks.service.first_process import let_end


def main() -> None:
    """Run the command line and exit."""
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
