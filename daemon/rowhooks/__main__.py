"""The command line: `rowhooks`, and `python -m rowhooks`."""

from __future__ import annotations

import sys

_EXTRAS = {"apply": "plan", "demo": "embedded", "export": "plan", "plan": "plan", "stubs": "stubs"}
"""What a command needs beside the daemon's libraries, which each of these brings too."""


def main() -> None:
    """Run the command line and exit."""
    try:
        from rowhooks.cli import main as run
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "rowhooks":
            raise
        extra = next((_EXTRAS[word] for word in sys.argv[1:] if word in _EXTRAS), "daemon")
        sys.stderr.write(
            f"Error: there is no module {error.name}: this is rowhooks for applications, without the command line and"
            f" the daemon\n  where they are to run: pip install 'rowhooks[{extra}]'\n"
        )
        sys.exit(2)
    run()


if __name__ == "__main__":
    main()
