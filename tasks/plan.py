"""From a recipe to specs: the chain of restorers resolved against a film, before any work is begun.

What can't work is refused here: an unknown option, a size that a step can't take, a pixel format that
FFV1 has no lossless place for. All scenes of a restoration get one take format.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from media.convert import ffv1_pix_fmts, full_range, lossless_equivalent
from media.format import TakeFormat, VideoFormat
from media.parts import float_error
from media.probe import MediaInfo
from restar.errors import MediaError, RecipeError
from restar.needs import NONE, Needs, joined
from restar.recipe import Recipe
from restar.spec import ResolvedStep, Spec
from restorers import invents, needs_of, restorer
from tasks.house import OpenFilm

__all__ = ["Plan", "plan_chain", "plan_restoration", "spec_of"]


@dataclass(frozen=True)
class Plan:
    """A recipe's chain for one film: the resolved steps, what every take is encoded as, what it needs.

    `card_steps` are those of text cards, None where they are restored as any scene.
    """

    steps: tuple[ResolvedStep, ...]
    take_format: TakeFormat
    needs: Needs = NONE
    card_steps: tuple[ResolvedStep, ...] | None = None


def plan_restoration(film: OpenFilm, recipe: Recipe) -> Plan:
    """Resolve a recipe for a film; raise RecipeError or MediaError for what can't be made."""
    return plan_chain(film.path, film.info, recipe, bool(film.index.records["interlaced"].any()))


def plan_chain(path: Path, info: MediaInfo, recipe: Recipe, interlaced: bool = False) -> Plan:
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
    for number, wanted in enumerate(recipe.restore.steps, start=1):
        member = restorer(wanted.use)
        if interlaced and member.needs_progressive:
            raise MediaError(
                f"{path}: is interlaced, and step {number} ('{member.name}') works on whole "
                "frames; deinterlace it first, or use the recipe `identity`"
            )
        resolved = member.resolve(dict(wanted.options), video)
        needs.append(needs_of(member, resolved, video))
        made = member.output(resolved, video)
        steps.append(resolved)
        if recipe.restore.text_cards == "resize":
            plain.append(_plain(wanted.use, video, made) if invents(wanted.use) else resolved)
        video = made
    take_format = TakeFormat.of(_storable(video, recipe.restore.pixel_format))
    cards = tuple(plain) if plain and plain != steps else None
    return Plan(tuple(steps), take_format, joined(needs), cards)


def spec_of(plan: Plan, recipe: Recipe, prompt: str, seed: int, *, card: bool = False) -> Spec:
    """Return the spec of one scene: all that decides its pixels. `prompt` is what is told, whole.

    A `card` is resized where the plan says so of text cards; nobody is told anything then.
    """
    if card and plan.card_steps is not None:
        return Spec(
            plan.card_steps, seed=0, prompt="", negative="", format=plan.take_format.to_json()
        )
    return Spec(
        steps=plan.steps,
        seed=seed,
        prompt=prompt,
        negative=recipe.prompt.negative,
        format=plan.take_format.to_json(),
    )


def _plain(use: str, source: VideoFormat, made: VideoFormat) -> ResolvedStep:
    """The plain resize that gives a text card the size which a step gives other scenes."""
    scale, rest = divmod(made.width, source.width)
    if rest or made.height != scale * source.height:
        raise RecipeError(
            f"restore.text_cards: step {use} makes {made.width}x{made.height} of {source.width}x"
            f"{source.height}, which no plain resize by a whole number does; leave text_cards out"
        )
    return restorer("resize").resolve({"scale": scale}, source)


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
