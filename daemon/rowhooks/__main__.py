"""The command line: `rowhooks`, and `python -m rowhooks`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit."""
    try:
        from rowhooks.cli import main as run
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "rowhooks":
            raise
        sys.stderr.write(
            f"Error: there is no module {error.name}: this is rowhooks for applications, without the command line and"
            " the daemon\n  where they are to run: pip install 'rowhooks[daemon]'\n"
        )
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
