"""`python -m rowhooks`: the command line."""

from rowhooks.cli import main

main()
