"""Films that are in the catalog already: opened, or said what to do about."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from catalog.models import FilmRow, ShotListRow
from restar.errors import CatalogError
from restar.settings import Settings
from tasks.house import open_film, open_house
from tasks.ingest import ingest


@pytest.mark.parametrize("left", [{}, {"interlaced_frames": 0}])
def test_a_film_of_an_older_restar_is_measured_again(
    film: Callable[[str], Path], settings: Settings, left: dict[str, int]
) -> None:
    path = film("cfr_aac")
    with open_house(settings) as house:
        film_id = ingest(house, path=path)
        with house.catalog.begin() as session:
            row = session.get_one(FilmRow, film_id)
            row.media = {key: value for key, value in row.media.items() if key != "measured"} | (
                {"measured": left} if left else {}
            )
        with pytest.raises(CatalogError, match=r"older restar.*name its file again") as caught:
            open_film(house, film_id)
        assert str(path) in str(caught.value)
        assert ingest(house, path=path) == film_id
        assert open_film(house, film_id).index.count == open_film(house, film_id).row.frames
        with house.catalog.read() as session:
            assert len(session.scalars(select(ShotListRow)).all()) == 1
