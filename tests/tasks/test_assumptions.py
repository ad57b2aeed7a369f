"""What a film does not say, and how its samples are held, is in the events of its restoration."""

from pathlib import Path
from typing import Any

import pytest

from catalog.events import events_of
from flows.prepare import Order, prepare
from restar.recipe import Recipe, parse_recipe
from restar.settings import Settings
from tasks.house import open_house
from tests.films import run_ffmpeg

RECIPE = b'name = "%b"\n[[restore.steps]]\nuse = "%b"\n'
TOLD = ("normalization", "interpreting")


def recipe(step: str) -> Recipe:
    return parse_recipe(RECIPE % (step.encode(), step.encode()), "test")


def events(settings: Settings, film: Path, step: str, times: int = 1) -> dict[str, Any]:
    with open_house(settings) as house:
        for _ in range(times):
            prepared = prepare(house, film, Order(recipe(step), film.parent))
        with house.catalog.read() as session:
            told = events_of(session, prepared.film_id)
    kinds = [event["type"] for event in told if event["type"] in TOLD]
    assert len(kinds) == len(set(kinds)), "each is told once"
    return {event["type"]: event["detail"] for event in told if event["type"] in TOLD}


def film(folder: Path, pix_fmt: str, *tags: str, size: str = "64x48") -> Path:
    path = folder / "film.nut"
    picture = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d=0.2"]
    run_ffmpeg([*picture, "-c:v", "rawvideo", "-pix_fmt", pix_fmt, *tags, str(path)])
    return path


def test_a_repack_is_told_once(tmp_path: Path, settings: Settings) -> None:
    told = events(settings, film(tmp_path, "uyvy422"), "identity", times=2)
    assert list(told) == ["normalization"]
    assert told["normalization"]["pixel format"] == "uyvy422"
    assert told["normalization"]["held as"] == "yuv422p"


def test_the_entries_of_a_palette_are_said_to_be_lost(tmp_path: Path, settings: Settings) -> None:
    told = events(settings, film(tmp_path, "pal8"), "identity")
    assert "is not kept" in told["normalization"]["lossless"]


@pytest.mark.parametrize(("size", "matrix"), [("64x48", "smpte170m"), ("64x720", "bt709")])
def test_a_matrix_that_was_assumed_is_told(
    tmp_path: Path, settings: Settings, size: str, matrix: str
) -> None:
    told = events(settings, film(tmp_path, "yuv420p", size=size), "resize")
    assert told["interpreting"]["assumed"]["matrix"] == matrix


def test_identity_assumes_nothing(tmp_path: Path, settings: Settings) -> None:
    assert events(settings, film(tmp_path, "yuv420p"), "identity") == {}


def test_rgb_needs_no_assumption(tmp_path: Path, settings: Settings) -> None:
    assert "interpreting" not in events(settings, film(tmp_path, "gbrp"), "resize")
