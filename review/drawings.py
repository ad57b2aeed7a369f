"""Drawings beside the pictures, as SVG of numbers: the film's scenes, the scores of a scene's takes."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from markupsafe import Markup

from catalog.closeup import SceneCard
from review.look import flag_places
from scorers import ScoreSeries

__all__ = ["scene_chart", "scene_strip"]

WIDTH, SCALE = 1000, 46
"""Of every drawing along a film: units for its frames, and those for its scale at the right."""
_STRIP, _CHART, _MARGIN = 30, 96, 8
_COLOURS = 4


def scene_strip(scenes: Sequence[SceneCard], seams: Mapping[int, Sequence[int]]) -> Markup:
    """Return the scenes of a film as bands, with flags and the seams of windows; a band is a link."""
    total = max(1, scenes[-1].end if scenes else 1)
    parts = []
    for scene in scenes:
        left, right = _x(scene.start, total), _x(scene.end, total)
        kind = "odd" if scene.number % 2 else "even"
        kind += " open" if scene.open_flags else " decided" if scene.by_person else ""
        kind += " missing" if scene.take_id is None else ""
        parts.append(
            f'<a href="scene/{scene.number}" tabindex="-1"><rect class="band {kind}" x="{left}" y="0" '
            f'width="{max(0.6, right - left):.1f}" height="{_STRIP}"><title>Scene {scene.number}, '
            f"frames {scene.start}-{scene.end - 1}</title></rect></a>"
        )
        for first, last, sentence in flag_places(scene.flags):
            width = max(1.5, _x(last + 1, total) - _x(first, total))
            parts.append(
                f'<rect class="flagged" x="{_x(first, total)}" y="{_STRIP - 5}" width="{width:.1f}" '
                f'height="5"><title>{escape(sentence)}</title></rect>'
            )
        parts += [
            f'<line class="seam" x1="{_x(at, total)}" x2="{_x(at, total)}" y1="0" y2="6"/>'
            for at in seams.get(scene.number, ())
        ]
    head = f'<line class="head" x1="0" x2="0" y1="-2" y2="{_STRIP + 2}"/>'
    return _svg(WIDTH + SCALE, _STRIP, "".join(parts) + head, "strip-chart", total)


def scene_chart(
    series: Sequence[tuple[str, ScoreSeries]],
    frames: tuple[int, int],
    plain: float | None,
    limit: float | None,
    seams: Iterable[int] = (),
) -> Markup:
    """Return one measure over a scene: a line for each take, the plain resize's mean, the limit."""
    start, end = frames
    count = max(1, end - start)
    values = [v for _, one in series for v in one.values]
    if not values:
        return Markup("")
    known = [v for v in (plain, limit) if v is not None]
    low, high = min([*values, *known]), max([*values, *known])
    margin = 0.06 * (high - low) or max(0.5, 0.05 * abs(high))
    low, high = low - margin, high + margin

    def y(value: float) -> float:
        return round(_MARGIN + (high - value) / (high - low) * (_CHART - 2 * _MARGIN), 1)

    parts = [f'<rect class="ground" x="0" y="0" width="{WIDTH}" height="{_CHART}"/>']
    for at in seams:
        x = _x(at - start, count)
        parts.append(f'<line class="seam" x1="{x}" x2="{x}" y1="0" y2="{_CHART}"/>')
    for value, kind in ((limit, "limit"), (plain, "plain")):
        if value is not None:
            parts.append(
                f'<line class="{kind}" x1="0" x2="{WIDTH}" y1="{y(value)}" y2="{y(value)}"/>'
            )
    for number, (name, one) in enumerate(series):
        points = " ".join(
            f"{_x(f + 0.5, count)},{y(v)}" for f, v in zip(one.frames, one.values, strict=True)
        )
        colour = f"c{number % _COLOURS}"
        if len(one.values) == 1:
            across, _, down = points.partition(",")
            parts.append(f'<circle class="dot {colour}" cx="{across}" cy="{down}" r="3"/>')
        else:
            parts.append(
                f'<polyline class="line {colour}" points="{points}"><title>{escape(name)}</title>'
                "</polyline>"
            )
    parts.append(f'<line class="head" x1="0" x2="0" y1="0" y2="{_CHART}"/>')
    for value, height in ((high - margin, _MARGIN + 8), (low + margin, _CHART - _MARGIN)):
        parts.append(f'<text class="s" x="{WIDTH + 6}" y="{height}">{value:.3g}</text>')
    return _svg(WIDTH + SCALE, _CHART, "".join(parts), "scene-chart", count)


def _x(frame: float, total: int) -> float:
    return round(WIDTH * frame / total, 1)


def _svg(width: int, height: int, body: str, kind: str, frames: int) -> Markup:
    # numbers, and text that was escaped
    return Markup(  # noqa: S704
        f'<svg class="{kind}" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
        f'data-frames="{frames}" data-width="{WIDTH}" aria-hidden="true">{body}</svg>'
    )
