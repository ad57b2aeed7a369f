"""What the report tells of scores: their lines along the film, their maps, and under which licences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup
from sqlalchemy.orm import Session

from catalog.commits import scores_of
from catalog.models import RestorationSceneRow, ScoreRow, TakeRow
from restar.errors import PluginError
from restar.recipe import STANDARD_SCORERS, Recipe
from scorers import ScoreSeries, scorer
from scorers.flags import RULES, Finding, find_flags
from tasks.charts import SceneSeries, timeline
from tasks.house import House
from tasks.score import series_from

__all__ = ["SceneScores", "charts", "licences", "scene_scores"]

_ALWAYS = ("psnr-to-source", "ssim-to-source", "warp-error", "invented-detail")


@dataclass(frozen=True)
class SceneScores:
    """A scene's scores: summaries and series by metric, and what is found in them."""

    scene: RestorationSceneRow
    rows: Mapping[str, ScoreRow] = field(default_factory=dict)
    series: Mapping[str, ScoreSeries] = field(default_factory=dict)
    findings: Sequence[Finding] = ()

    @property
    def summaries(self) -> dict[str, Any]:
        return {name: self.rows[name].summary for name in _ordered(self.rows)}

    @property
    def worst_map(self) -> ScoreSeries | None:
        """The series that says where to look: of the first flag with a place, else of fidelity."""
        flagged = [self.series[f.scorer] for f in self.findings if self.series[f.scorer].heat]
        if flagged:
            return flagged[0]
        fidelity = self.series.get("psnr-to-source")
        perfect = fidelity is None or fidelity.mean is None or fidelity.mean >= 99
        return None if perfect or not (fidelity and fidelity.heat) else fidelity


def scene_scores(
    session: Session,
    house: House,
    scenes: Sequence[RestorationSceneRow],
    takes: Mapping[int, TakeRow | None],
    recipe: Recipe,
) -> dict[int, SceneScores]:
    """Return what is recorded of the takes that are shown, by scene."""
    found = {}
    for scene in scenes:
        take = takes[scene.number]
        if take is None:
            found[scene.number] = SceneScores(scene)
            continue
        rows = {row.metric: row for row in scores_of(session, take)}
        series = {n: s for n, row in rows.items() if (s := series_from(house, row)) is not None}
        findings = find_flags(series.values(), recipe.score.thresholds, recipe.score.ignore)
        found[scene.number] = SceneScores(scene, rows, series, findings)
    return found


def charts(scores: Sequence[SceneScores], recipe: Recipe) -> list[dict[str, Any]]:
    """Return the timelines: {metric, what, unit, better, limit, svg, warned, first}, in a fixed order."""
    limits = {rule.scorer: recipe.score.thresholds.get(rule.flag, rule.limit) for rule in RULES}
    drawn = []
    for name in _ordered({name for one in scores for name in one.rows}):
        limit = recipe.score.thresholds.get(name, limits.get(name))
        along = [
            SceneSeries(
                one.scene.number,
                one.scene.start,
                one.scene.end,
                one.series.get(name),
                one.rows[name].summary.get("plain") if name in one.rows else None,
                [finding for finding in one.findings if finding.scorer == name],
            )
            for one in scores
        ]
        svg = timeline(along, limit)
        summary = next(one.rows[name].summary for one in scores if name in one.rows)
        warned = any(scene.findings for scene in along)
        drawn.append({
            "metric": name,
            "what": _what(name),
            "unit": summary["unit"],
            "better": summary["better"],
            "limit": limit,
            "svg": Markup(svg),  # made of numbers and escaped sentences  # noqa: S704
            "warned": warned,
            "first": bool(svg) and (warned or name in _ALWAYS or name not in STANDARD_SCORERS),
        })  # fmt: skip
    return drawn


def licences(scores: Iterable[SceneScores]) -> dict[str, list[str]]:
    """Return which metrics were computed under which licence."""
    found: dict[str, set[str]] = {}
    for one in scores:
        for name, row in one.rows.items():
            found.setdefault(row.licence or "not recorded", set()).add(name)
    return {licence: sorted(names) for licence, names in sorted(found.items())}


def _ordered(names: Iterable[str]) -> list[str]:
    """Standard scorers in their order, others after them."""
    place = {name: number for number, name in enumerate(STANDARD_SCORERS)}
    return sorted(names, key=lambda name: (place.get(name, len(place)), name))


def _what(name: str) -> str:
    try:
        return scorer(name).about.what
    except PluginError:
        return ""
