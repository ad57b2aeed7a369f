"""A small archive to look at: a film whose frames tell their number, restored twice, with a master.

The number is painted in twelve squares, white for 1 and black for 0, on grounds that move; so what any
canvas or still shows can be read back as a frame number, also after an encode and at another size.
"""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from catalog.base import JobKind
from catalog.closeup import scene_sheet
from catalog.models import RestorationRow
from catalog.proxies import want_proxies
from flows.drain import Shift, work
from flows.prepare import Order
from flows.restore import restore_film
from media.proxy import ALGORITHM
from restar.film import Identifiers
from restar.recipe import Recipe
from review.look import sides_of
from tasks.house import House

BITS, SQUARE = 12, 8
WIDTH, HEIGHT = 128, 96
LENGTHS = (210, 20, 26)
GROUNDS = ((200, 60, 40), (40, 90, 190), (60, 170, 80))


def squares() -> list[tuple[int, int]]:
    """The centres of the squares, x and y in parts of the picture."""
    return [
        (
            (8 + SQUARE * 1.5 * (bit % 6) + SQUARE / 2) / WIDTH,
            (16 + 24 * (bit // 6) + SQUARE / 2) / HEIGHT,
        )
        for bit in range(BITS)
    ]


def painted(number: int) -> NDArray[np.uint8]:
    """A frame (h, w, 3) with its number on it."""
    scene = 0
    while number >= sum(LENGTHS[: scene + 1]):
        scene += 1
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    picture[:] = GROUNDS[scene]
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    picture[((x + 2 * number) // 16 + y // 16) % 2 == 0] -= 25
    for bit in range(BITS):
        left, top = round(8 + SQUARE * 1.5 * (bit % 6)), 16 + 24 * (bit // 6)
        value = 255 if number >> bit & 1 else 0
        picture[top - 1 : top + SQUARE + 1, left - 1 : left + SQUARE + 1] = value
    return picture


def read_number(picture: NDArray[np.uint8]) -> int:
    """The number that is painted on a picture of any size (h, w, 3)."""
    height, width = picture.shape[:2]
    return sum(
        int(picture[int(y * height), int(x * width)].mean() > 127) << bit
        for bit, (x, y) in enumerate(squares())
    )


def numbered_film(path: Path, sar: Fraction = Fraction(1)) -> Path:
    """Write the film: H.264 with B-frames and few key frames, as films come."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"crf": "4", "preset": "veryfast", "bf": "2", "threads": "1"}
        context = stream.codec_context
        context.gop_size, context.sample_aspect_ratio = 50, sar
        context.colorspace, context.color_range = 1, 1
        context.color_primaries = context.color_trc = 1
        for number in range(sum(LENGTHS)):
            frame = av.VideoFrame.from_ndarray(painted(number), "rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
            )
            frame.pts, frame.time_base = number, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def recipe(name: str, scale: int, **more: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": name,
            "restore": {"steps": [{"use": "resize", "options": {"scale": scale}}]},
            "score": {"scorers": ["psnr-to-source", "invented-detail"], **more},
        }
    )


def furnish(house: House, folder: Path) -> str:
    """Restore the film by two recipes, the second with flags; return that restoration's id."""
    film = numbered_film(folder / "numbers.mp4")
    names = Identifiers(accession="A-17", title="Numbers <b>&amp;", rights="public domain")
    for one in (recipe("plain", 1), recipe("double", 2, thresholds={"psnr-to-source": 99.0})):
        restore_film(house, film, Order(one, folder / "masters", identifiers=names))
    with house.catalog.read() as session:
        return (
            session.scalars(
                select(RestorationRow.id).order_by(RestorationRow.opened_at.desc())
            ).first()
            or ""
        )


def make_proxies(house: House, restoration_id: str, number: int) -> None:
    """Make what the player of a scene plays, as the helper of `restar review` does."""
    with house.catalog.begin() as session:
        sheet = scene_sheet(session, restoration_id, number)
        want_proxies(session, [side.proxy for side in sides_of(sheet)], ALGORITHM)
    work(house, Shift(kinds=(JobKind.PROXY,), alone=False))
