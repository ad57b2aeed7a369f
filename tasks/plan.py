"""From a recipe to specs: the chain of restorers resolved against a film, before any work is begun.

What can't work is refused here: an unknown option, a size that a step can't take, a pixel format that
FFV1 has no lossless place for. All scenes of a restoration get one take format.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from media.convert import ffv1_pix_fmts, full_range, lossless_equivalent
from media.format import TakeFormat, VideoFormat
from media.parts import float_error
from media.probe import MediaInfo
from restar.errors import MediaError, RecipeError
from restar.needs import NONE, Needs, joined
from restar.recipe import Recipe, Step
from restar.spec import ResolvedStep, Spec
from restorers import Restorer, Settling, invents, needs_of, restorer
from tasks.house import OpenFilm

__all__ = [
    "Answers", "Plan", "plain_scale", "plan_chain", "plan_restoration", "replaced", "shrunk", "spec_of",
]  # fmt: skip

Answers = dict[str, dict[str, Any]]
"""What `auto` came to, by the number of the step (from 0) and the name of the option."""


@dataclass(frozen=True)
class Plan:
    """A recipe's chain for one film: the resolved steps, what every take is encoded as, what it needs.

    `card_steps` are those of text cards, None where they are restored as any scene.
    """

    steps: tuple[ResolvedStep, ...]
    take_format: TakeFormat
    needs: Needs = NONE
    settled: Answers = field(default_factory=dict)
    card_steps: tuple[ResolvedStep, ...] | None = None

    def changed(self, answers: Answers) -> "Plan":
        """Return the plan with other answers to `auto`, of one scene."""
        steps = tuple(
            replace(step, options={**step.options, **answers.get(str(number), {})})
            for number, step in enumerate(self.steps)
        )
        return replace(self, steps=steps)


def plan_restoration(film: OpenFilm, recipe: Recipe, answers: Answers | None = None) -> Plan:
    """Resolve a recipe for a film; raise RecipeError or MediaError for what can't be made.

    A restorer names in `settles` the options whose `auto` depends on the host. `answers` are those
    that were found before; the plan has those that hold now.
    """
    interlaced = bool(film.index.records["interlaced"].any())
    return plan_chain(film.path, film.info, recipe, interlaced, answers)


def plan_chain(
    path: Path,
    info: MediaInfo,
    recipe: Recipe,
    interlaced: bool = False,
    answers: Answers | None = None,
) -> Plan:
    """Resolve a recipe for a film that was only probed; `interlaced` if some of its frames say so."""
    video = info.format
    interlaced = interlaced or video.field_order not in {"unknown", "progressive"}
    if not video.pix_fmt:
        raise MediaError(f"{path}: its pixel format is unknown; is the file whole?")
    if info.rounded_from and recipe.restore.pixel_format == "auto":
        raise float_error(path)
    steps: list[ResolvedStep] = []
    plain: list[ResolvedStep] = []
    needs: list[Needs] = []
    found: Answers = {}
    for number, wanted in enumerate(recipe.restore.steps, start=1):
        member = restorer(wanted.use)
        if interlaced and member.needs_progressive:
            raise MediaError(
                f"{path}: is interlaced, and step {number} ('{member.name}') works on whole "
                "frames; deinterlace it first, or use the recipe `identity`"
            )
        left = _left_to_auto(member, wanted)
        before = {k: v for k, v in (answers or {}).get(str(number - 1), {}).items() if k in left}
        if isinstance(member, Settling):
            resolved = member.resolve(wanted.options, video, before)
        else:
            resolved = member.resolve(wanted.options, video)
        if left:
            found[str(number - 1)] = {name: resolved.options[name] for name in left}
        needs.append(needs_of(member, resolved, video))
        made = member.output(resolved, video)
        steps.append(resolved)
        if recipe.restore.text_cards == "resize":
            plain.append(_plain(wanted.use, video, made) if invents(wanted.use) else resolved)
        video = made
    take_format = TakeFormat.of(_storable(video, recipe.restore.pixel_format))
    cards = tuple(plain) if plain and plain != steps else None
    return Plan(tuple(steps), take_format, joined(needs), found, cards)


def spec_of(plan: Plan, recipe: Recipe, prompt: str, seed: int, *, card: bool = False) -> Spec:
    """Return the spec of one scene: all that decides its pixels. `prompt` is what is told, whole.

    A step whose restorer knows itself to be the wrong tool for such a scene gives way (`replaced`).
    A `card` is resized where the plan says so of text cards; nobody is told anything then.
    """
    if card and plan.card_steps is not None:
        return Spec(
            plan.card_steps, seed=0, prompt="", negative="", format=plan.take_format.to_json()
        )
    found = replaced(plan, prompt)
    return Spec(
        steps=tuple(found[n][0] if n in found else step for n, step in enumerate(plan.steps)),
        seed=seed,
        prompt=prompt,
        negative=recipe.prompt.negative,
        format=plan.take_format.to_json(),
    )


def plain_scale(source: VideoFormat, made: VideoFormat) -> int | None:
    """Return the whole number by which a plain resize makes a source as large as `made`, if one does."""
    scale, rest = divmod(made.width, source.width)
    return None if rest or made.height != scale * source.height else scale


def _plain(use: str, source: VideoFormat, made: VideoFormat) -> ResolvedStep:
    """The plain resize that gives a text card the size which a step gives other scenes."""
    scale = plain_scale(source, made)
    if scale is None:
        raise RecipeError(
            f"restore.text_cards: step {use} makes {made.width}x{made.height} of {source.width}x"
            f"{source.height}, which no plain resize by a whole number does; leave text_cards out"
        )
    return restorer("resize").resolve({"scale": scale}, source)


def replaced(plan: Plan, prompt: str) -> dict[int, tuple[ResolvedStep, str]]:
    """Return the steps that others take the place of in a scene of this prompt, and why.

    A restorer may have a method `instead(step, prompt)`, which gives a step of the same output.
    """
    found = {}
    for number, resolved in enumerate(plan.steps):
        instead = getattr(restorer(resolved.use), "instead", None)
        other = instead(resolved, prompt) if instead is not None else None
        if other is not None:
            found[number] = other
    return found


def shrunk(film: OpenFilm, recipe: Recipe, spec: Spec) -> Answers | None:
    """Return answers to `auto` that take less memory than those of a spec that ran out of it.

    None where no restorer can do with less, or its recipe does not leave it the choice.
    """
    video = film.info.format
    for number, (resolved, wanted) in enumerate(
        zip(spec.steps, recipe.restore.steps, strict=False)
    ):
        member = restorer(resolved.use)
        smaller = getattr(member, "smaller", None)
        less = smaller(resolved, video) if smaller is not None else None
        if less and resolved.use == wanted.use and set(less) <= set(_left_to_auto(member, wanted)):
            return {str(number): less}
        video = member.output(resolved, video)
    return None


def _left_to_auto(member: Restorer, wanted: Step) -> list[str]:
    names = member.settles if isinstance(member, Settling) else ()
    return [name for name in names if wanted.options.get(name, "auto") == "auto"]


def _storable(video: VideoFormat, wanted: str) -> VideoFormat:
    pix_fmt = lossless_equivalent(video.pix_fmt) if wanted == "auto" else wanted
    if pix_fmt is None:
        raise MediaError(
            f"pixel format {video.pix_fmt} can't be kept without loss in FFV1; convert the film "
            "first, or choose restore.pixel_format in the recipe"
        )
    if pix_fmt not in ffv1_pix_fmts():
        raise RecipeError(f"restore.pixel_format: FFV1 can't hold '{pix_fmt}'; try yuv422p10le")
    colour = replace(video.colour, range=full_range(video.pix_fmt, video.colour.range))
    return replace(video, pix_fmt=pix_fmt, colour=colour)
