"""What the player and the timelines are told: sides, times, seams, and where flags lie."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import restorers
from catalog.browse import film_rate
from catalog.closeup import SceneSheet, TakeSheet
from catalog.models import FilmRow, RestorationRow
from catalog.proxies import ProxyOf
from media.index import FrameIndex
from restar.errors import MediaError, PluginError, RecipeError, StoreError
from restar.spec import ResolvedStep
from restar.timeline import FrameRange
from scorers.flags import RULES
from tasks.house import NOMINAL_RATE, House

__all__ = [
    "Side",
    "aspect_of",
    "flag_places",
    "flat",
    "frame_times",
    "seams_of",
    "sides_of",
    "standing",
    "take_name",
    "take_names",
]

_PLACE = re.compile(r"frames? (\d+)(?:-(\d+))?")


@dataclass(frozen=True)
class Side:
    """One thing that can be looked at in the player: the source, its plain resize, or a take."""

    id: str
    name: str
    still: str
    proxy: ProxyOf
    take: TakeSheet | None = None


def sides_of(sheet: SceneSheet) -> list[Side]:
    """Return what a scene can be looked at in: source, resize (where takes are larger), takes."""
    film, restoration, scene = sheet.film, sheet.restoration, sheet.scene
    where: dict[str, Any] = {"film_id": film.id, "start": scene.start, "end": scene.end}
    sides = [Side("source", "source", f"/still/film/{film.id}/", ProxyOf("source", **where))]
    if _is_resized(film, restoration):
        proxy = ProxyOf("resize", **where, format=restoration.take_format)
        sides.append(Side("resize", "plain resize", f"/still/resize/{restoration.id}/", proxy))
    for take, name in zip(sheet.takes, take_names(sheet.takes), strict=True):
        proxy = ProxyOf("take", **where, take_key=take.row.take_key)
        side = f"take-{take.row.id}"
        sides.append(Side(side, name, f"/still/take/{take.row.id}/", proxy, take))
    return sides


def take_names(takes: Sequence[TakeSheet]) -> list[str]:
    """Return what takes are called: no two alike, by what they differ in where that is not enough."""
    names = [take_name(take) for take in takes]
    specs = [dict(flat(take.row.spec)) for take in takes]
    shown: list[str] = []
    for number, name in enumerate(names):
        alike = [n for n, other in enumerate(names) if other == name]
        found = {key for n in alike for key in specs[n]}
        keys = sorted(found, key=lambda key: (key == "prompt", key))
        differing = [key for key in keys if len({specs[n].get(key) for n in alike}) > 1]
        told = [_told(key, specs[number].get(key, "—")) for key in differing[:2]]
        full = ", ".join([name, *told])
        shown.append(full if full not in shown else f"{full} ({number + 1})")
    return shown


def _told(key: str, value: str) -> str:
    name = key.rpartition(".")[2]
    short = value if len(value) <= 24 else value[:22] + "…"
    if name == "prompt":
        return f"“{short}”" if value else "no prompt"
    return f"{name} {short}"


def take_name(take: TakeSheet) -> str:
    """Return what a take is called: its restorers, and its seed where one is drawn from."""
    spec = take.row.spec
    size = spec["format"].get("video", {})
    steps = " + ".join(step["use"] for step in spec["steps"])
    seed = f", seed {spec['seed']}" if spec["seed"] else ""
    other = f", {size.get('width')}x{size.get('height')}" if not take.fits else ""
    return f"{steps}{seed}{other}"


def frame_times(house: House, film: FilmRow, start: int, end: int) -> tuple[list[float], bool]:
    """Return when each frame of a range is shown, in seconds from its first; whether that is exact.

    By the times of ingest; where their index is not in the store, by the film's nominal rate.
    """
    rate = film_rate(film.media) or NOMINAL_RATE
    streams = film.media.get("streams") or [{}]
    base = streams[min(film.media.get("picture", 0), len(streams) - 1)].get("time_base")
    try:
        index = FrameIndex.load(house.store.open_local(film.frame_index), Fraction(base or 1))
    except (StoreError, MediaError):
        return [float(n / rate) for n in range(end - start)], False
    first = index.time(start)
    return [round(float(index.time(n) - first), 6) for n in range(start, end)], True


def aspect_of(film: FilmRow) -> float:
    """Return the shape of a film's pictures as they are shown: width by height, with the SAR."""
    video = _video(film)
    width, height = video.get("width") or 16, video.get("height") or 9
    return round(float(Fraction(width, height) * Fraction(video.get("sar") or 1)), 5)


def seams_of(spec: dict[str, Any], start: int, end: int) -> list[int]:
    """Return the frames at which a step changes from one window of frames to the next."""
    found: set[int] = set()
    for told in spec["steps"]:
        step = ResolvedStep(**told)
        with suppress(
            PluginError, RecipeError
        ):  # of a restorer, or a version of it, that is not here
            found |= set(restorers.seams_of(_member(step.use), step, FrameRange(start, end)))
    return sorted(found)


@lru_cache(maxsize=32)
def _member(name: str) -> restorers.Restorer:
    return restorers.restorer(name)


def standing(metric: str, summary: dict[str, Any], limits: Mapping[str, float]) -> str:
    """Return "bad" for a score beyond its limit, "good" for one better than a plain resize's, else ""."""
    change, lower = summary.get("change"), summary.get("better") == "lower"
    for rule in RULES:
        value = summary.get("worst" if rule.over == "frame" else "mean")
        if rule.scorer == metric and value is not None:
            limit = limits.get(rule.flag, rule.limit)
            if value > limit if lower else value < limit:
                return "bad"
    return "good" if change and (change < 0) == lower else ""


def flag_places(flags: Sequence[str]) -> list[tuple[int, int, str]]:
    """Return the frames (first, last) of each flag that tells of some, and its sentence."""
    places = []
    for flag in flags:
        match = _PLACE.search(flag)
        if match:
            first = int(match[1])
            places.append((first, int(match[2] or first), flag))
    return places


def _video(film: FilmRow) -> dict[str, Any]:
    streams = film.media.get("streams") or [{}]
    return streams[min(film.media.get("picture", 0), len(streams) - 1)].get("video") or {}


def _is_resized(film: FilmRow, restoration: RestorationRow) -> bool:
    video = _video(film)
    take = restoration.take_format.get("video") or {}
    return bool(take) and (video.get("width"), video.get("height")) != (
        take.get("width"), take.get("height"),
    )  # fmt: skip


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Return nested plain data as (path, text) pairs."""
    if isinstance(value, dict):
        return [
            pair
            for key, one in value.items()
            for pair in flat(one, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(value, list):
        return [pair for n, one in enumerate(value, start=1) for pair in flat(one, f"{name} {n}")]
    return [(name, str(value))]
