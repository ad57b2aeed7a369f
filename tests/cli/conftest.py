"""The command as a user gives it, in this process: arguments in, exit status and both outputs back."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import main


@dataclass(frozen=True)
class Answer:
    """What a command gave back."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def path(self) -> Path:
        """The one path on standard output."""
        (line,) = self.out.splitlines()
        return Path(line)


Restar = Callable[..., Answer]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty installation that the environment names."""
    monkeypatch.setenv("RESTAR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    for name in ("RESTAR_STORE", "RESTAR_DATABASE", "RESTAR_LOG", "RESTAR_FFMPEG", "RESTAR_AGENT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


@pytest.fixture
def restar(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Restar]:
    """Run `restar ARGS...`; expects success unless `fails` is set."""

    def run(*arguments: object, fails: bool = False) -> Answer:
        monkeypatch.setattr(sys, "argv", ["restar", *map(str, arguments)])
        status = 0
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try:
                main()
            except SystemExit as leaving:
                status = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
        answer = Answer(status, out.getvalue(), err.getvalue())
        assert (status != 0) == fails, answer
        return answer

    yield run
    logging.getLogger("restar").handlers.clear()


def everything_in(folder: Path) -> set[str]:
    """Names of all files below a folder, relative to it."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
