"""Timelines of scores as SVG: a line along the film, broken at cuts, with its limit and its flags.

Drawn by hand because a report is one file that loads nothing. A long film is reduced to the worst
value of each bin, so that no warning falls between two pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from scorers import ScoreSeries
from scorers.flags import Finding

__all__ = ["SceneSeries", "timeline"]

_WIDTH, _HEIGHT, _TOP, _BOTTOM = 1000, 84, 6, 14
_BINS = 1000


@dataclass(frozen=True)
class SceneSeries:
    """One measure over one scene of a film, and what a plain resize gets there."""

    number: int
    start: int
    end: int
    series: ScoreSeries | None
    plain: float | None
    findings: Sequence[Finding]


def timeline(scenes: Sequence[SceneSeries], limit: float | None) -> str:
    """Return the SVG of one measure along a film; empty where no scene has a value."""
    points = [_binned(scene, scenes[-1].end) for scene in scenes]
    values = [value for line in points for _, value in line]
    if not values:
        return ""
    plains = [scene.plain for scene in scenes if scene.plain is not None]
    low, high = _range(values, plains, limit)
    total = max(1, scenes[-1].end)

    def x(frame: float) -> float:
        return round(_WIDTH * frame / total, 1)

    def y(value: float) -> float:
        part = (min(max(value, low), high) - low) / (high - low)
        return round(_TOP + (1 - part) * (_HEIGHT - _TOP - _BOTTOM), 1)

    parts = []
    for scene in scenes:
        left, right = x(scene.start), x(scene.end)
        band = "band odd" if scene.number % 2 else "band"
        parts.append(
            f'<a href="#scene-{scene.number}"><rect class="{band}" x="{left}" y="0" '
            f'width="{max(0.5, right - left):.1f}" height="{_HEIGHT - _BOTTOM}">'
            f"<title>Scene {scene.number}, frames {scene.start}-{scene.end - 1}</title></rect></a>"
        )
        if right - left > 26:
            parts.append(
                f'<text class="n" x="{(left + right) / 2:.1f}" y="{_HEIGHT - 3}">{scene.number}</text>'
            )
    for scene in scenes:
        for finding in scene.findings:
            left, right = x(scene.start + finding.first), x(scene.start + finding.last + 1)
            parts.append(
                f'<rect class="bad" x="{left}" y="0" width="{max(2.0, right - left):.1f}" '
                f'height="{_HEIGHT - _BOTTOM}"><title>{_escaped(finding.sentence(scene.start))}'
                "</title></rect>"
            )
    if limit is not None and low <= limit <= high:
        parts.append(f'<line class="limit" x1="0" x2="{_WIDTH}" y1="{y(limit)}" y2="{y(limit)}"/>')
    for scene, line in zip(scenes, points, strict=True):
        if scene.plain is not None:
            level = y(scene.plain)
            parts.append(
                f'<line class="plain" x1="{x(scene.start)}" x2="{x(scene.end)}" y1="{level}" '
                f'y2="{level}"/>'
            )
        if len(line) == 1:
            parts.append(f'<circle class="dot" cx="{x(line[0][0])}" cy="{y(line[0][1])}" r="2"/>')
        elif line:
            path = " ".join(f"{x(frame)},{y(value)}" for frame, value in line)
            parts.append(f'<polyline class="line" points="{path}"/>')
    scale = (
        f'<text class="s" x="{_WIDTH + 6}" y="{_TOP + 8}">{high:.3g}</text>'
        f'<text class="s" x="{_WIDTH + 6}" y="{_HEIGHT - _BOTTOM - 2}">{low:.3g}</text>'
    )
    body = "".join(parts) + scale
    return f'<svg viewBox="0 0 {_WIDTH + 46} {_HEIGHT}" role="img">{body}</svg>'


def _binned(scene: SceneSeries, total: int) -> list[tuple[float, float]]:
    """Frames of the film and values; of each bin the worst."""
    if scene.series is None:
        return []
    pick = min if scene.series.better == "higher" else max
    width = max(1.0, total / _BINS)
    bins: dict[int, tuple[float, float]] = {}
    for frame, value in zip(scene.series.frames, scene.series.values, strict=True):
        at = scene.start + frame + 0.5
        here = bins.get(int(at / width))
        if here is None or pick(here[1], value) == value:
            bins[int(at / width)] = (at, value)
    return sorted(bins.values())


def _range(
    values: Sequence[float], plains: Sequence[float], limit: float | None
) -> tuple[float, float]:
    """A scale that shows the bulk of the values and the limit, and lets outliers touch the edge."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    usual = ordered[int(0.9 * (len(ordered) - 1))], ordered[int(0.1 * (len(ordered) - 1))]
    near = [*usual, *plains, *([] if limit is None else [limit])]
    middle = max(near) - min(near)
    low, high = max(low, min(near) - middle), min(high, max(near) + middle)
    low, high = min(low, *near), max(high, *near)
    margin = 0.06 * (high - low) or max(0.5, 0.05 * abs(high))
    return low - margin, high + margin


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
