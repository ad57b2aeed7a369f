"""A step is its plain function where no flow runs, and imports no engine for it."""

import subprocess
import sys
from pathlib import Path

from tasks.step import step


@step("double {number}")
def double(*, number: int) -> int:
    """Return twice the number."""
    return 2 * number


def test_a_step_is_its_function() -> None:
    assert double(number=4) == 8
    assert double.__name__ == "double"
    assert double.__doc__ == "Return twice the number."


def test_without_a_flow_no_engine_is_imported() -> None:
    code = (
        "import sys, tasks.ingest, tasks.restore, tasks.assemble, flows.restore\n"
        "print([m for m in ('prefect', 'torch') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout == "[]\n"
