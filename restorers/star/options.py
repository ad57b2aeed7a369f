"""The options of a step `star`: what may be chosen, within which range, and what `auto` comes to.

`auto` is an answer that depends on the model, or on the memory that may be used. It is found once, when
a restoration is opened, and stands in the spec from then on.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from restar.errors import RecipeError
from restar.recipe import explain

__all__ = ["AUTO", "TINY", "Options", "checked"]

AUTO: Final = "auto"
TINY = "star-tiny"

Auto = Literal["auto"]


class Options(BaseModel):
    """The options of a step `star`. Times are those of the schedule: 0 is clean, 999 pure noise."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str = Field(
        default=AUTO,
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Weights by name (`restar weights list`), or star-tiny, which ships; auto = "
        "star-light where it is installed with its parts, else star-tiny.",
    )
    vae: str = Field(
        default=AUTO,
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Weights that hold the VAE; auto = the model's own, else svd-vae.",
    )
    text_encoder: str = Field(
        default=AUTO,
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Weights that hold the text tower; auto = the model's own, else clip-h-text.",
    )
    scale: int = Field(
        default=4, ge=1, le=8, strict=True, description="Whole-number factor; star-tiny: 2 or 4."
    )
    plan: Literal["auto", "few", "fast", "normal"] = Field(
        default=AUTO,
        description="few = 1, 2 or 4 steps from pure noise (models trained for it), fast = the "
        "published 14, normal = any; auto = few for star-tiny, else fast.",
    )
    steps: Annotated[int, Field(ge=1, le=200, strict=True)] | Auto = Field(
        default=AUTO, description="Steps of few and normal; auto = 1, or 15."
    )
    noise_level: int = Field(
        default=899,
        ge=1,
        le=999,
        strict=True,
        description="Time at which sampling starts: lower stays nearer to the source (not for few).",
    )
    guidance: Annotated[float, Field(ge=1, le=20)] | Auto = Field(
        default=AUTO,
        description="How far away from the negative prompt; 1 = not; auto = 7.5, star-tiny 1.",
    )
    guidance_rescale: float = Field(
        default=0.2, ge=0, le=1, description="Against over-exposure by guidance."
    )
    guidance_from: int = Field(
        default=999, ge=0, le=999, strict=True, description="Guidance acts from this time ..."
    )
    guidance_until: int = Field(
        default=0, ge=0, le=999, strict=True, description="... down to this one."
    )
    guidance_passes: Literal["auto", "one", "two"] = Field(
        default=AUTO,
        description="Both texts of guidance as one batch, or one after the other; auto = one on a GPU "
        "whose memory limit allows it without a shorter window, else two.",
    )
    window: Annotated[int, Field(ge=2, le=512, strict=True)] | Auto = Field(
        default=AUTO,
        description="Frames that the network sees at once; auto = 32, star-tiny 16, or what the "
        "memory limit allows.",
    )
    overlap: Annotated[int, Field(ge=0, le=256, strict=True)] | Auto = Field(
        default=AUTO, description="Frames that neighbouring windows share."
    )
    blend: Literal["linear", "cut"] = Field(
        default="linear", description="How windows meet; cut = hard, as published."
    )
    decode_window: Annotated[int, Field(ge=1, le=512, strict=True)] | Auto = Field(
        default=AUTO, description="Frames that the VAE decodes at once."
    )
    decode_overlap: Annotated[int, Field(ge=0, le=256, strict=True)] | Auto = Field(
        default=AUTO, description="Frames that neighbours of these share; 0 = islands."
    )
    tile: Annotated[int, Field(ge=0, le=65_536, strict=True)] | Auto = Field(
        default=AUTO,
        description="Pixels of the result a side that the network sees at once; 0 = all; auto = all, "
        "or what the memory limit allows.",
    )
    tile_overlap: Annotated[int, Field(ge=0, le=16_384, strict=True)] | Auto = Field(
        default=AUTO, description="Pixels that neighbouring tiles share."
    )
    pad: Literal["reflect", "reference"] = Field(
        default="reflect", description="What is around a picture; reference = white, as published."
    )
    encoding: Literal["mode", "sampled"] = Field(
        default="mode", description="The VAE's most likely latent, or a drawn one, as published."
    )
    noise: Literal["frame", "reference"] = Field(
        default="frame",
        description="Noise by frame; reference = by clip, as published: memory grows with a scene.",
    )
    colour: Literal["steady", "adain", "wavelet", "none"] = Field(
        default="steady",
        description="Colours of the source: smoothed over time, or as published, frame by frame.",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default=AUTO, description="Numbers of the network; auto = bfloat16 on a GPU, else float32."
    )
    strength: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the grain that star-tiny takes; under 1 it is told less noise than "
        "there is. Other models have no such thing.",
    )
    clean: Literal["resize", "restore"] = Field(
        default="restore",
        description="star-tiny has little to gain over a plain resize on clean film at x2 (0.3 dB in "
        "the mean): resize gives such scenes that.",
    )
    untrained: bool = Field(
        default=False, description="Set by restar where the weights are untrained."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "Options":
        for window, overlap in (("window", "overlap"), ("decode_window", "decode_overlap")):
            size, shared = getattr(self, window), getattr(self, overlap)
            if AUTO not in (size, shared) and shared > size // 2:
                raise ValueError(f"{overlap} {shared} is more than half of {window} {size}")
        tile, shared = self.tile, self.tile_overlap
        if isinstance(tile, int) and isinstance(shared, int) and tile and shared > tile // 2:
            raise ValueError(f"tile_overlap {shared} is more than half of tile {tile}")
        if self.guidance_until > self.guidance_from:
            raise ValueError(
                "guidance_until is a later time than guidance_from (999 is the noisiest)"
            )
        if self.plan == "few" and self.steps not in (AUTO, 1, 2, 4):
            raise ValueError(f"plan few takes 1, 2 or 4 steps, not {self.steps}")
        if self.plan == "fast" and self.noise_level <= 500:
            raise ValueError(
                "plan fast starts above time 500; take plan normal for a lower noise_level"
            )
        return self


def checked(options: dict[str, Any]) -> Options:
    """Return the options; raise RecipeError naming the first that is unknown or out of its range."""
    try:
        return Options.model_validate(options)
    except ValidationError as error:
        raise RecipeError(f"step star: {explain(error, Options)}") from None
