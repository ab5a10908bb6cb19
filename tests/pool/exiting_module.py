"""A script without a guard: importing it ends the program."""

raise SystemExit(0)
