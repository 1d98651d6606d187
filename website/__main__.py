"""Writes the pages that the site is built from: `python -m website DIRECTORY`.

They are the pages of the repository, with their links among each other, and the reference, which is made from the code.
"""

from __future__ import annotations

import sys
from pathlib import Path

from website.pages import write

if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m website DIRECTORY")
    write(Path(sys.argv[1]))
