"""Exit statuses are a contract: documented, and different where a caller would act differently."""

from pathlib import Path

import restar.errors
from restar.errors import RestarError

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"


def test_every_error_is_in_the_tree_and_its_status_documented() -> None:
    text = DOCS.read_text()
    drawn = restar.errors.__doc__ or ""
    for name in restar.errors.__all__:
        error = getattr(restar.errors, name)
        assert issubclass(error, RestarError)
        assert name in drawn
        assert f"| {error.exit_status} |" in text, f"exit status {error.exit_status} ({name})"
