"""`python -m star.parity DIR [--dump OUT]`: the command `restar parity` without the rest of restar."""

import argparse
import sys
from pathlib import Path

from restar.errors import RestarError
from star.parity import run_parity
from star.parity.show import show


def main() -> int:
    """Run a folder, print its table, return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m star.parity", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of fixtures")
    parser.add_argument("--dump", type=Path, metavar="OUT", help="write what was computed here")
    given = parser.parse_args()
    try:
        return 0 if show(run_parity(given.folder, given.dump)) else 1
    except RestarError as error:
        print(f"star.parity: {error}", file=sys.stderr)
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
