"""The command line: `rowhooks`, and `python -m rowhooks`."""

from __future__ import annotations

import sys

from rowhooks.domain.extras import library_missing


def main() -> None:
    """Run the command line and exit."""
    try:
        from rowhooks.cli import main as run
    except ModuleNotFoundError as error:
        missing = library_missing(error, sys.argv[1:])
        sys.stderr.write(f"Error: {missing.message}\n  {missing.hint}\n")
        sys.exit(missing.exit_code)
    run()


if __name__ == "__main__":
    main()
