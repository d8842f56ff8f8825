"""`python -m rung.cli` is the command `rung`."""

from rung.cli import main

main()
