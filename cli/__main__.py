"""`python -m cli` is `restar`."""

from cli import main

main()
