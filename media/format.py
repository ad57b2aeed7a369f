"""What a stream of pictures is: the format that a restorer gets, and the one that takes share.

All takes of a restoration have one `TakeFormat`; that is why their packets can be joined into one
master without a pixel being coded twice. Tags that a source leaves unspecified stay `None`.
"""

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from restar.hashing import canonical_json

__all__ = ["ColourTags", "TakeFormat", "VideoFormat"]


@dataclass(frozen=True)
class ColourTags:
    """Colour tags by libav's names, such as matrix "bt709", range "tv"; None = unspecified."""

    matrix: str | None = None
    range: str | None = None
    primaries: str | None = None
    transfer: str | None = None
    chroma_location: str | None = None


@dataclass(frozen=True)
class VideoFormat:
    """The pictures that a restorer is given or gives: size in pixels, libav pixel format, tags."""

    width: int
    height: int
    pix_fmt: str
    sar: Fraction | None = None
    colour: ColourTags = ColourTags()
    field_order: str = "unknown"


@dataclass(frozen=True)
class TakeFormat:
    """What every take of a restoration, and so the master, is encoded as (FFV1 level 3, intra)."""

    video: VideoFormat
    encoder: str = "ffv1"
    level: int = 3
    slices: int = 4

    @classmethod
    def of(cls, video: VideoFormat) -> "TakeFormat":
        """Return the format of takes for such pictures; tiny ones have no four slices to code."""
        return cls(video, slices=4 if min(video.width, video.height) >= 16 else 1)

    def to_json(self) -> dict[str, Any]:
        """Return the format as plain data, the same for equal formats (it is part of a spec)."""
        data = asdict(self)
        sar = self.video.sar
        data["video"]["sar"] = None if sar is None else f"{sar.numerator}/{sar.denominator}"
        return data

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "TakeFormat":
        video = dict(data["video"])
        sar = video["sar"]
        video["sar"] = None if sar is None else Fraction(sar)
        video["colour"] = ColourTags(**video["colour"])
        return cls(**{**data, "video": VideoFormat(**video)})

    def __str__(self) -> str:
        return canonical_json(self.to_json())
