"""Facts: measured on clips of which everything is known, and told in plain sentences."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks.facts import Tally, generated
from captioners import SceneView
from captioners.contract import CaptionerContract
from captioners.facts import Facts, condition_in_words, picture_in_words
from captioners.measure import FRAME, SAMPLE, MeasuredFilm, Measurer
from captioners.scenefacts import SceneFacts, facts_of
from captioners.textcard import is_text_card
from restar.errors import MediaError, RecipeError
from restar.timeline import FrameRange


class TestContract(CaptionerContract):
    @pytest.fixture
    def captioner(self) -> Facts:
        return Facts()


@pytest.fixture(scope="module")
def tally() -> Tally:
    """Facts of clips of a seed that no threshold was set on."""
    return generated(21, seed=77)


def test_most_facts_are_stated_and_few_are_wrong(tally: Tally) -> None:
    known, stated = tally.known.total(), tally.stated.total()
    assert known > 180
    assert stated >= 0.8 * known, tally.stated
    assert len(tally.wrong) <= 0.02 * stated, tally.wrong


def test_every_fact_was_judged(tally: Tally) -> None:
    assert set(tally.known) == set(SceneFacts.names())


def frames(pictures: list[np.ndarray], pix_fmt: str = "rgb24") -> list[av.VideoFrame]:
    made = [av.VideoFrame.from_ndarray(picture, "rgb24") for picture in pictures]
    return [frame.reformat(format=pix_fmt) for frame in made]


def measured(path: Path, shown: list[av.VideoFrame]) -> MeasuredFilm:
    with Measurer(path, Fraction(24)) as measurer:
        for frame in shown:
            measurer.see(frame)
    return MeasuredFilm.load(path)


def ramp() -> np.ndarray:
    row = np.linspace(0, 255, 96).astype(np.uint8)
    return np.repeat(np.tile(row, (64, 1))[..., None], 3, axis=2)


@pytest.mark.parametrize(
    "pix_fmt",
    ["yuv420p", "yuvj420p", "yuv422p10le", "yuv444p16le", "gray", "gray10le", "gray16le", "nv12",
     "rgb24", "gbrp", "gbrp12le", "bgr0", "yuv420p10le", "uyvy422"],
)  # fmt: skip
def test_every_pixel_format_has_the_same_measures(pix_fmt: str, tmp_path: Path) -> None:
    film = measured(tmp_path / "m.npz", frames([ramp()] * 3, pix_fmt))
    assert np.allclose(film.frames["mean"], 127, atol=3)
    assert film.samples["low"][0] == pytest.approx(4, abs=6)
    assert film.samples["high"][0] == pytest.approx(251, abs=6)
    assert film.samples["chroma"][0] < 3
    assert film.frames["change"][1] == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (16, 16), (4000, 8), (8, 3000), (23, 37)])
def test_any_size_can_be_measured(size: tuple[int, int], tmp_path: Path) -> None:
    pictures = [np.full((*size, 3), 90, np.uint8)] * 14
    film = measured(tmp_path / "m.npz", frames(pictures))
    assert len(film.frames) == 14
    assert facts_of(film, FrameRange(0, 14)).text_card != "yes"


def test_a_size_that_changes_midway_is_no_motion(tmp_path: Path) -> None:
    pictures = [np.full((48, 64, 3), 90, np.uint8)] * 20 + [np.full((60, 64, 3), 90, np.uint8)] * 20
    film = measured(tmp_path / "m.npz", frames(pictures))
    assert len(film.frames) == 40


def test_one_frame_states_nothing_that_takes_two(tmp_path: Path) -> None:
    film = measured(tmp_path / "m.npz", frames([ramp()]))
    facts = facts_of(film, FrameRange(0, 1))
    assert facts.colour == "monochrome"
    assert (facts.motion, facts.camera, facts.flicker, facts.fade_in) == (None, None, None, None)


def test_a_film_without_frames_has_no_facts(tmp_path: Path) -> None:
    film = measured(tmp_path / "m.npz", [])
    assert len(film.frames) == 0
    assert facts_of(film, FrameRange(0, 1)) == SceneFacts()


def test_a_short_scene_after_a_cut_has_a_full_sample(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    looks = [
        rng.integers(0, 256, (12, 16, 3), np.uint8).repeat(6, 0).repeat(6, 1) for _ in range(4)
    ]
    film = measured(tmp_path / "m.npz", frames([looks[n // 10] for n in range(40)]))
    for start in range(0, 40, 10):
        assert facts_of(film, FrameRange(start, start + 10)).colour == "colour"


def test_the_measures_stay_small_and_nothing_else_is_left(tmp_path: Path) -> None:
    film = measured(tmp_path / "m.npz", frames([ramp()] * 120))
    assert [path.name for path in tmp_path.iterdir()] == ["m.npz"]
    assert film.frames.dtype == FRAME
    assert film.samples.dtype == SAMPLE
    assert (tmp_path / "m.npz").stat().st_size < 120 * 40


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), Measurer(tmp_path / "m.npz", Fraction(24)):
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_no_measures(tmp_path: Path) -> None:
    (tmp_path / "m.npz").write_bytes(b"no")
    with pytest.raises(MediaError, match="not the measures"):
        MeasuredFilm.load(tmp_path / "m.npz")
    np.savez(tmp_path / "n.npz", frames=np.zeros(3), samples=np.zeros(3), rate=np.array([24, 1]))
    with pytest.raises(MediaError, match="another version"):
        MeasuredFilm.load(tmp_path / "n.npz")


@pytest.mark.parametrize("kind", ["noise", "ramp", "bars", "flat", "stripes", "spots"])
def test_test_pictures_are_no_text_cards(kind: str) -> None:
    rng = np.random.default_rng(1)
    pictures = {
        "noise": rng.integers(0, 256, (180, 320), np.uint8),
        "ramp": np.tile(np.linspace(0, 255, 320).astype(np.uint8), (180, 1)),
        "bars": np.tile((np.arange(320) // 40 * 30).astype(np.uint8), (180, 1)),
        "spots": (rng.random((45, 80)) > 0.9).astype(np.uint8).repeat(4, 0).repeat(4, 1) * 255,
        "flat": np.full((180, 320), 40, np.uint8),
        "stripes": np.tile((np.arange(320) % 16 < 3).astype(np.uint8) * 255, (180, 1)),
    }
    assert not is_text_card(pictures[kind])


def test_sentences_say_what_is_shown_and_what_became_of_it() -> None:
    facts = {
        "colour": "monochrome", "brightness": "dark", "contrast": "low", "motion": "much",
        "camera": "pan left", "grain": "yes", "flicker": "no", "sharpness": "soft",
        "fade_in": "yes", "fade_out": "no", "text_card": "no",
    }  # fmt: skip
    assert picture_in_words(facts) == (
        "A dark black-and-white picture of low contrast. The camera pans to the left. There is much "
        "movement. It fades in."
    )
    assert condition_in_words(facts) == "It is grainy, steady in brightness and soft."
    (caption,) = Facts().describe([SceneView(facts=facts)], {})
    assert caption.text == f"{picture_in_words(facts)} {condition_in_words(facts)}"
    assert caption.kind == "template"
    assert picture_in_words({"text_card": "yes", "motion": "still"}) == "A text card."
    assert picture_in_words({}) == condition_in_words({}) == ""


def test_it_has_no_options() -> None:
    with pytest.raises(RecipeError, match="unknown option 'text'"):
        Facts().revision({"text": "x"})
