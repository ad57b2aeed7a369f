"""Frames that a chain passes on: hashed at ingest and in the master, and never believed in between."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import tasks.restore
from flows.prepare import Order
from flows.restore import restore_film
from media import frames
from restar.errors import VerificationError
from restar.recipe import load_recipe
from restar.settings import Settings
from tasks.house import open_house


def test_a_frame_that_decodes_wrongly_is_found_in_the_master(
    film: Callable[[str], Path], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def wrong(*arguments: Any, **keywords: Any) -> Iterator[av.VideoFrame]:
        asked.append(keywords)
        for number, frame in enumerate(frames.decode_range(*arguments, **keywords)):
            if number == 5:
                frame.make_writable()
                np.frombuffer(memoryview(frame.planes[0]), np.uint8)[:] ^= 1
            yield frame

    monkeypatch.setattr(tasks.restore, "decode_range", wrong)
    order = Order(load_recipe("identity"), settings.home / "out")
    with open_house(settings) as house, pytest.raises(VerificationError, match="pixels of frame 5"):
        restore_film(house, film("cfr_aac"), order)
    assert asked == [{"proven": True}]
    assert list((settings.home / "out").iterdir()) == []
