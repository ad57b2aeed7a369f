"""Where on one frame a take is worst by one measure: the scorer itself, on that frame alone.

The series of a take keep the tiles of its worst frame only; here any frame is asked about, by decoding
it in source and take. What a measure needs of the frames before (none of these does) is not given.
"""

from typing import Any

from catalog.models import TakeRow
from media.format import TakeFormat
from scorers import Pair, scorer
from tasks.stills import Stills

__all__ = ["OVERLAYS", "heat_of"]

OVERLAYS = {
    "psnr-to-source": "fidelity",
    "invented-detail": "invented detail",
    "detail-kept": "detail kept",
}
"""The measures that tell of places on a single frame, and what people call the map."""


def heat_of(stills: Stills, take: TakeRow, metric: str, frame: int) -> dict[str, Any]:
    """Return a measure's tiles on frame `frame` of the film, as plain data.

    {"frame", "value", "unit", "better", "heat": rows of numbers, "limit"}; "heat" is empty where the
    measure has none on such a picture. Raises NoSourceError where the film is not here.
    """
    member = scorer(metric)
    source, video = stills.source_frame(take.film_id, frame)
    picture = stills.take_frame(take, frame)
    formats = (video, TakeFormat.from_json(take.spec["format"]).video)
    session = member.start(*formats)
    session.see(Pair(0, source, picture, formats))
    series = session.finish()
    return {
        "frame": frame,
        "value": series.mean,
        "unit": series.unit,
        "better": series.better,
        "heat": [list(row) for row in series.heat],
    }
