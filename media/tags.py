"""The tags of a film against those of its master: shape, colour, fields, names, languages, chapters.

A tag that the source leaves unspecified has to be unspecified in the master too. What a container
writes about itself is left out; what MOV has no place for is in the sidecar, and counts as kept there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from media.convert import assumed
from media.format import VideoFormat
from media.pixfmt import full_range
from media.probe import MediaInfo, StreamInfo
from media.streams import Carried, Container

__all__ = ["MADE_AT", "Check", "check", "tag_checks"]


@dataclass(frozen=True)
class Check:
    """One property: what the source has, what the master has, and whether that is right."""

    name: str
    source: str
    master: str
    equal: bool


def check(name: str, source: str, master: str) -> Check:
    """Return the check of a property that has to be the same text."""
    return Check(name, source, master, source == master)


def tag_checks(
    info: MediaInfo,
    other: MediaInfo,
    carried: Sequence[Carried],
    container: Container,
    shift: Fraction = Fraction(0),
) -> Iterator[Check]:
    """Compare every tag of a film and its streams with those of an identity master."""
    yield from _picture_tags(info.format, other.format, container)
    yield from _named("tag", info.metadata, other.metadata, container)
    ours = [info.video, *(c.stream for c in carried if c.is_track)]
    tracks = [
        s for s in other.others()
        if s.kind in {"audio", "subtitle", "video"} and "attached_pic" not in s.disposition
    ]  # fmt: skip
    for here, there in zip(ours, [other.video, *tracks], strict=False):
        name = f"{here.kind} {here.index}"
        yield check(f"language {name}", _language(here), _language(there))
        yield check(f"disposition {name}", _flags(here, container), _flags(there, container))
        yield from _named(f"tag {name}", here.metadata, there.metadata, container)
    yield check("chapters", _chapters(info, shift, container), _chapters(other, 0, container))


def _picture_tags(here: VideoFormat, there: VideoFormat, container: Container) -> Iterator[Check]:
    yield check("size", f"{here.width}x{here.height}", f"{there.width}x{there.height}")
    yield check("SAR", _shape(here), _shape(there))
    yield check("fields", _fields(here), _fields(there))
    for name in ("matrix", "primaries", "transfer"):
        yield check(
            f"colour {name}",
            getattr(here.colour, name) or "unspecified",
            getattr(there.colour, name) or "unspecified",
        )
    ranges = [full_range(v.pix_fmt, v.colour.range) or "unspecified" for v in (here, there)]
    if container == "mov" and ranges[1] == "unspecified" and ranges[0] == _untold_range(there):
        yield Check("colour range", ranges[0], "unspecified, which means the same in MOV", True)
    else:
        yield check("colour range", *ranges)


def _untold_range(video: VideoFormat) -> str | None:
    """The range of pictures that say none; gray with alpha, which is never converted, is gray."""
    return "pc" if video.pix_fmt == "ya8" else assumed(video).range


def _named(
    what: str, here: Mapping[str, str], there: Mapping[str, str], container: Container
) -> Iterator[Check]:
    found = {key.lower(): value for key, value in there.items()}
    for key, value in sorted(here.items()):
        name = key.lower()
        if name in _OF_THE_CONTAINER or name.startswith("_statistics"):
            continue
        made = [found.get(MADE_AT), *found.get(name, "").split(";")]  # MOV may say it twice
        if name == "creation_time" and value in made:
            yield check(f"{what} {key}", value, value)
        elif name not in found and container == "mov":
            yield Check(f"{what} {key}", value, "in the sidecar", True)
        else:
            yield check(f"{what} {key}", value, found.get(name, "missing"))


MADE_AT = "date_encoded"  # Matroska's tag for what MP4 calls creation_time

# Written by a container itself about itself, and what is compared under another name.
_OF_THE_CONTAINER = frozenset({
    "encoder", "major_brand", "minor_version", "compatible_brands", "duration", "language",
    "bps", "number_of_frames", "number_of_bytes", "vendor_id", "filename", "mimetype",
    "handler_name", "variant_bitrate",
})  # fmt: skip

# What a container can say of a track; the rest is in restar-source.json.
_FLAGS: dict[Container, frozenset[str]] = {
    "matroska": frozenset({
        "default", "forced", "hearing_impaired", "visual_impaired", "descriptions", "original",
        "comment", "dub",
    }),
    "mov": frozenset(),  # a track is only enabled or not; the rest is in the sidecar
}  # fmt: skip


def _flags(stream: StreamInfo, container: Container) -> str:
    return ",".join(f for f in stream.disposition if f in _FLAGS[container]) or "none"


def _language(stream: StreamInfo) -> str:
    return stream.metadata.get("language", "und")


def _shape(video: VideoFormat) -> str:
    """Square pixels are what a container means where it says nothing."""
    return "square" if video.sar in {None, Fraction(1)} else str(video.sar)


def _fields(video: VideoFormat) -> str:
    return "progressive" if video.field_order in {"unknown", "progressive"} else video.field_order


def _chapters(info: MediaInfo, shift: Fraction | int, container: Container) -> str:
    told = []
    for one in info.chapters:
        start, end = (round(float(t + shift), 3) for t in (one.start, one.end))
        tags = {k.lower(): v for k, v in one.metadata.items()}
        if container == "mov":
            tags = {"title": tags.get("title", "")}
        told.append(f"{start}-{end} {', '.join(f'{k}={v}' for k, v in sorted(tags.items()))}")
    return "; ".join(told) or "none"
