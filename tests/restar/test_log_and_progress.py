"""Log lines carry what they are about; progress reaches whoever listens, and ends on errors too."""

import json
import logging
from collections.abc import Iterator

import pytest

from restar.log import about, set_up_logging
from restar.progress import Advance, listening, track


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    yield
    logging.getLogger("restar").handlers.clear()


def test_a_line_is_keyed_by_film_scene_and_take(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("info", "json")
    with about(film="ab12", scene=3), about(take="cd34"):
        logging.getLogger("restar.drain").info("take made in %.1f s", 2.5)
    logging.getLogger("restar.drain").info("and after")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["film"], first["scene"], first["take"]) == ("ab12", "3", "cd34")
    assert first["message"] == "take made in 2.5 s"
    assert "film" not in second


def test_text_lines_and_levels(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging("warning", "text")
    with about(scene=1):
        logging.getLogger("restar.drain").info("not shown")
        logging.getLogger("restar.drain").warning("shown")
    assert capsys.readouterr().err == "warning scene=1 shown\n"


class Ear:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def begin(self, text: str, unit: str, total: int | None) -> Advance:
        self.heard.append((text, unit, total))
        return self.heard.append

    def end(self, advance: Advance) -> None:
        self.heard.append("end")


def work(fails: bool) -> None:
    with track("restoring", "frames", 2) as advance:
        advance(1)
        if fails:
            raise ValueError("torn")
        advance(1)


def test_a_listener_hears_all_of_it() -> None:
    ear = Ear()
    with listening(ear):
        work(fails=False)
        with pytest.raises(ValueError, match="torn"):
            work(fails=True)
    work(fails=False)
    begun = ("restoring", "frames", 2)
    assert ear.heard == [begun, 1, 1, "end", begun, 1, "end"]
