"""A recipe is resolved against a film before any work: what can't be made is refused there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from media.format import TakeFormat
from restar.errors import MediaError, RecipeError
from restar.recipe import Recipe, parse_recipe
from restar.settings import Settings
from tasks.house import OpenFilm, open_film, open_house
from tasks.ingest import ingest
from tasks.plan import plan_restoration, spec_of
from tests.films import run_ffmpeg

Open = Callable[[Path], OpenFilm]


@pytest.fixture
def opened(settings: Settings) -> Open:
    def get(path: Path) -> OpenFilm:
        with open_house(settings) as house:
            return open_film(house, ingest(house, path=path))

    return get


def recipe(*steps: str, rest: str = "") -> Recipe:
    text = 'name = "x"\n' + rest + "".join(f"[[restore.steps]]\n{step}\n" for step in steps)
    return parse_recipe(text.encode(), "x.toml")


RESIZE = 'use = "resize"\noptions = { scale = 2 }'


def test_a_chain_is_resolved_step_by_step(opened: Open, scenes: Path) -> None:
    plan = plan_restoration(opened(scenes), recipe(RESIZE, 'use = "identity"', RESIZE))
    assert [step.use for step in plan.steps] == ["resize", "identity", "resize"]
    assert plan.steps[0].options == {"scale": 2, "light": "gamma"}
    assert (plan.take_format.video.width, plan.take_format.video.height) == (384, 256)


def test_the_take_format_is_in_the_spec(opened: Open, scenes: Path) -> None:
    wanted = recipe(RESIZE)
    plan = plan_restoration(opened(scenes), wanted)
    spec = spec_of(plan, wanted, "a caption", seed=3)
    assert TakeFormat.from_json(spec.format) == plan.take_format
    assert (spec.prompt, spec.seed) == ("a caption", 3)


def test_a_pixel_format_can_be_chosen(opened: Open, scenes: Path) -> None:
    film = opened(scenes)
    chosen = recipe(RESIZE, rest='[restore]\npixel_format = "yuv444p10le"\n')
    assert plan_restoration(film, chosen).take_format.video.pix_fmt == "yuv444p10le"
    with pytest.raises(RecipeError, match="FFV1 can't hold 'nv12'"):
        plan_restoration(film, recipe(RESIZE, rest='[restore]\npixel_format = "nv12"\n'))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ('use = "resize"\noptions = { scale = 0 }', "scale"),
        ('use = "resize"\noptions = { scale = 1000 }', "scale"),
        ('use = "resize"\noptions = { magic = 1 }', "magic"),
        ('use = "identity"\noptions = { scale = 2 }', "scale"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    opened: Open, scenes: Path, step: str, said: str
) -> None:
    with pytest.raises(RecipeError, match=said):
        plan_restoration(opened(scenes), recipe(step))


def test_fields_are_never_taken_for_frames(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "fields.mkv"
    run_ffmpeg([
        "-f", "lavfi", "-i", "testsrc2=s=96x64:r=50:d=1", "-vf", "interlace,setfield=tff",
        "-c:v", "ffv1", "-field_order", "tt", str(path),
    ])  # fmt: skip
    film = opened(path)
    with pytest.raises(MediaError, match=r"is interlaced.*deinterlace it first.*identity"):
        plan_restoration(film, recipe(RESIZE))
    assert plan_restoration(film, recipe('use = "identity"')).take_format.video.height == 64
