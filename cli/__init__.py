"""The command `restar`: one file for each group of commands, and one place that ends them all.

What a person reads goes to standard error; standard output holds only results (paths, JSON), so that
another program can read it. Exit statuses are those of restar.errors (docs/cli.md).
"""

import sys

__all__ = ["main"]

INTERRUPTED = 130


def main() -> None:
    """Run the command line; every expected error is one line that says what to do."""
    import os

    from cli.app import app
    from restar.errors import RestarError

    try:
        app(prog_name="restar")
    except RestarError as error:
        _tell(str(error))
        sys.exit(error.exit_status)
    except (KeyboardInterrupt, SystemExit) as leaving:  # Typer makes the one into the other
        if isinstance(leaving, SystemExit) and leaving.code != INTERRUPTED:
            raise
        _tell("stopped; what is finished is kept, the same command goes on from there")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        if os.environ.get("RESTAR_LOG", "").lower() == "debug":
            raise
        _tell(
            f"unexpected {type(error).__name__}: {error} (a fault of restar: please report it "
            "with what RESTAR_LOG=debug shows)"
        )
        sys.exit(70)


def _tell(message: str) -> None:
    print(f"restar: {' '.join(message.split())}", file=sys.stderr)
