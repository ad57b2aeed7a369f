"""A take key changes with everything that reaches a pixel, and with nothing else."""

from dataclasses import replace

import pytest

from restar.film import FilmManifest, Identifiers, Source
from restar.hashing import sha256_of
from restar.spec import ResolvedStep, Spec, take_key
from restar.timeline import FrameRange

STEP = ResolvedStep("resize", 1, {"scale": 2, "light": "gamma"})
SPEC = Spec((STEP,), seed=0, prompt="a rabbit", negative="", format={"level": 3})
FILM, FRAMES = "f" * 64, FrameRange(0, 24)


def test_the_same_is_the_same_however_it_is_spelled() -> None:
    turned = replace(STEP, options={"light": "gamma", "scale": 2})
    assert take_key(FILM, FRAMES, replace(SPEC, steps=(turned,))) == take_key(FILM, FRAMES, SPEC)
    assert Spec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize(
    "changed",
    [
        replace(SPEC, seed=1),
        replace(SPEC, prompt="a hare"),
        replace(SPEC, negative="blur"),
        replace(SPEC, format={"level": 1}),
        replace(SPEC, steps=(replace(STEP, algorithm=2),)),
        replace(SPEC, steps=(replace(STEP, options={"scale": 4, "light": "gamma"}),)),
        replace(SPEC, steps=(replace(STEP, model_sha256="a" * 64),)),
        replace(SPEC, steps=(STEP, STEP)),
    ],
)
def test_what_reaches_a_pixel_is_in_the_key(changed: Spec) -> None:
    assert take_key(FILM, FRAMES, changed) != take_key(FILM, FRAMES, SPEC)


def test_film_and_range_are_in_the_key() -> None:
    keys = {
        take_key(FILM, FRAMES, SPEC),
        take_key("e" * 64, FRAMES, SPEC),
        take_key(FILM, FrameRange(0, 25), SPEC),
        take_key(FILM, FrameRange(1, 24), SPEC),
    }
    assert len(keys) == 4


def test_this_key_stays_what_it_is() -> None:
    """Archives keep takes for years: a new version must find them by the same keys."""
    assert take_key(FILM, FRAMES, SPEC) == (
        "60b4d4aa38f194ab2e755f6718b5d4a33bd06b0a84864301b2bd44a7fbc2c905"
    )


def test_a_film_is_its_bytes_not_its_name() -> None:
    one = FilmManifest("file", (Source("a" * 64, 10, "reel 1.mkv"),), Identifiers(title="One"))
    other = FilmManifest("file", (Source("a" * 64, 10, "renamed.mkv"),))
    assert one.film_id == other.film_id
    assert replace(one, kind="reels").film_id != one.film_id
    two = (Source("a" * 64, 10, ""), Source("b" * 64, 10, ""))
    assert FilmManifest("reels", two).film_id != FilmManifest("reels", two[::-1]).film_id


def test_what_is_not_data_has_no_hash() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        sha256_of({"x": float("nan")})
    with pytest.raises(TypeError, match="not data"):
        sha256_of({"x": object()})
