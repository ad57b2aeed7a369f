"""What the pages tell the player: names, seams, flags, shapes; and that large catalogs stay quick."""

import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from benchmarks.review import LARGE, fill, pages_of
from catalog.closeup import TakeSheet
from catalog.models import FilmRow, TakeRow
from restar.settings import Settings
from review.app import create_app
from review.look import aspect_of, flag_places, seams_of, standing, take_names
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
    from star.pipeline.cover import cover

    def star(**options: Any) -> dict[str, Any]:
        return {"steps": [{"use": "star", "algorithm": 1, "options": options, "model_sha256": ""}]}

    over = cover(90, 32, 8)
    found = seams_of(star(window=32, overlap=8), 100, 190)
    assert found == [100 + (a[1] + b[0]) // 2 for a, b in pairwise(over.windows)]
    assert found == [125, 145, 164]
    for seam in found:  # there, each of two windows has its share
        shares = [w[seam - 100 - s] for (s, e), w in zip(over.windows, over.weights, strict=True)
                  if s <= seam - 100 < e]  # fmt: skip
        assert len(shares) == 2
        assert all(0.3 < share < 0.7 for share in shares)
    assert seams_of(star(window=32, overlap=8), 100, 132) == []
    assert seams_of(star(window=32, overlap=16, blend="cut"), 0, 60) == [24, 40]
    other = {"use": "resize", "algorithm": 1, "options": {"scale": 2}, "model_sha256": ""}
    assert seams_of({"steps": [other]}, 0, 99) == []
    assert seams_of({"steps": [{**other, "use": "gone"}]}, 0, 99) == []
    assert seams_of(star(window=32, unknown=1), 0, 99) == []


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


def test_a_score_is_red_beyond_its_limit_and_green_above_a_resize() -> None:
    jump = {"mean": 0.5, "worst": 2.5, "better": "lower", "change": 0.1}
    assert standing("seam-jump", jump, {}) == "bad"
    assert standing("seam-jump", jump, {"seam-jump": 3.0}) == ""
    assert standing("seam-jump", {**jump, "worst": 1.0, "change": -0.1}, {}) == "good"
    kept = {"mean": 0.5, "worst": 0.4, "better": "higher", "change": 0.2}
    assert standing("detail-kept", kept, {}) == "bad"
    assert standing("detail-kept", {**kept, "mean": 0.95}, {}) == "good"
    assert standing("psnr-to-source", {**kept, "change": -14.0}, {}) == ""
    assert standing("psnr-to-source", {"better": "higher"}, {}) == ""
