"""What the pages tell the player: names, seams, flags, shapes; and that large catalogs stay quick."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from benchmarks.review import LARGE, fill, pages_of
from catalog.closeup import TakeSheet
from catalog.models import FilmRow, TakeRow
from restar.settings import Settings
from review.app import create_app
from review.look import aspect_of, flag_places, seams_of, take_names
from tasks.house import open_house


def take(fits: bool = True, seed: int = 0, prompt: str = "", **options: Any) -> TakeSheet:
    spec = {
        "format": {"video": {"width": 64, "height": 48}}, "seed": seed, "prompt": prompt,
        "steps": [{"use": "star", "options": options}],
    }  # fmt: skip
    return TakeSheet(TakeRow(id=1, spec=spec), {}, [], fits=fits)


def test_takes_are_named_by_what_tells_them_apart() -> None:
    assert take_names([take(), take(seed=7), take(fits=False)]) == [
        "star", "star, seed 7", "star, 64x48",
    ]  # fmt: skip
    names = take_names(
        [take(strength=0.5), take(strength=1.0), take(strength=1.0, prompt="a lake")]
    )
    assert names == [
        "star, strength 0.5, no prompt",
        "star, strength 1.0, no prompt",
        "star, strength 1.0, “a lake”",
    ]
    assert take_names([take(), take()]) == ["star", "star (2)"]


def test_seams_are_where_windows_meet() -> None:
    spec = {"steps": [{"use": "star", "options": {"window": 32, "overlap": 8}}]}
    assert seams_of(spec, 100, 190) == [128, 152, 176]
    assert seams_of({"steps": [{"use": "resize", "options": {"scale": 2}}]}, 0, 99) == []
    assert seams_of({"steps": [{"use": "odd", "options": {"window": "auto"}}]}, 0, 99) == []


def test_flags_say_where() -> None:
    flags = ["flicker: frames 3-9, left: pulses", "blank: frame 4: black", "no place"]
    assert flag_places(flags) == [(3, 9, flags[0]), (4, 4, flags[1])]


@pytest.mark.parametrize(
    ("video", "aspect"),
    [({"width": 720, "height": 576, "sar": "16/15"}, 4 / 3), ({"width": 1920, "height": 1080}, 16 / 9),
     ({}, 16 / 9)],
)  # fmt: skip
def test_the_shape_is_that_of_the_display(video: dict[str, Any], aspect: float) -> None:
    film = FilmRow(media={"picture": 0, "streams": [{"video": video}]})
    assert aspect_of(film) == pytest.approx(aspect, abs=1e-4)


def test_pages_of_a_large_catalog_are_quick_and_small(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, agent="tester")
    with open_house(settings) as house:
        fill(house.catalog, films=200, scenes=5000)
        with TestClient(create_app(house), base_url="http://127.0.0.1") as client:
            client.get("/")
            for name, page in pages_of().items():
                began = time.process_time()
                answer = client.get(page)
                seconds = time.process_time() - began
                assert answer.status_code == 200, name
                assert seconds < (0.3 if str(LARGE) in name.replace(",", "") else 0.5), name
                assert len(answer.content) < 1_500_000, name


def test_neither_torch_nor_prefect_is_loaded() -> None:
    heavy = "import sys, review.server; sys.exit(bool({'torch', 'prefect'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0
