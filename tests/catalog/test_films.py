"""Films, shot lists and masters: recorded once, found by the names that people use."""

import os
from pathlib import Path

import pytest

from catalog import Catalog
from catalog.events import events_of, film_stream, verify_chain
from catalog.films import film_by_id, film_by_path, find_film, find_master, register_film
from catalog.models import MasterState
from catalog.shots import latest_shot_list, save_shot_list, scenes_of, shot_list_by_version
from restar.errors import UsageError
from restar.film import FilmManifest, Identifiers, Scene, Source
from tests.catalog.rows import SCENES, add_film, digest, finished


def test_a_film_is_registered_once(catalog: Catalog) -> None:
    with catalog.begin() as session:
        first = add_film(session, accession="F 12/3", title="Die Straße")
    with catalog.begin() as session:
        second = add_film(session, reel="2")
        assert second.id == first.id
        assert (second.accession, second.title, second.reel) == ("F 12/3", "Die Straße", "2")
        assert second.seen_at > first.seen_at
        assert second.registered_at == first.registered_at
        assert [e["type"] for e in events_of(session, first.id)] == ["ingestion"]
    assert second.to_manifest().identifiers == Identifiers("F 12/3", "Die Straße", "2", "", "")
    assert second.to_manifest().sources == (Source(digest("a.mkv"), 1000, "a.mkv"),)
    assert second.to_manifest().film_id == first.id


def test_a_film_that_moved_is_found_where_it_is(catalog: Catalog) -> None:
    with catalog.begin() as session:
        film = add_film(session)
        register_film(
            session,
            film.to_manifest(),
            media=film.media,
            frame_index=film.frame_index,
            frames=film.frames,
            paths=["/other/b c.mkv", "/other/100%_d.mkv"],
            agent="tester",
        )
    with catalog.read() as session:
        for path in ("/other/b c.mkv", "/other/100%_d.mkv"):
            found = find_film(session, path)
            assert found.id == film.id
        for path in ("/films/a.mkv", "/other/b", "/other/100xyd.mkv", "b c.mkv"):
            assert film_by_path(session, Path(path)) is None


def test_a_path_that_holds_another_film_now_leads_to_that(catalog: Catalog) -> None:
    with catalog.begin() as session:
        add_film(session, "a.mkv")
    with catalog.begin() as session:
        newer = register_film(
            session,
            FilmManifest("file", (Source(digest("new"), 1, "a.mkv"),)),
            media={},
            frame_index=digest("i"),
            frames=3,
            paths=["/films/a.mkv"],
            agent="tester",
        )
        assert find_film(session, "/films/a.mkv").id == newer.id


def test_a_relative_path_is_taken_from_here(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with catalog.begin() as session:
        film = register_film(
            session,
            FilmManifest("file", (Source(digest("x"), 1, "x.mkv"),)),
            media={}, frame_index=digest("i"), frames=3, paths=["x.mkv"], agent="tester",
        )  # fmt: skip
        assert film.paths == [str(tmp_path / "x.mkv")]
        assert find_film(session, "x.mkv").id == film.id


def test_a_name_that_is_not_utf_8_can_be_recorded(catalog: Catalog) -> None:
    name = os.fsdecode(b"/films/stra\xdfe.mkv")
    with catalog.begin() as session:
        film = register_film(
            session,
            FilmManifest("file", (Source(digest("x"), 1, os.fsdecode(b"stra\xdfe.mkv")),)),
            media={}, frame_index=digest("i"), frames=3, paths=[name], agent="tester",
        )  # fmt: skip
    with catalog.read() as session:
        found = find_film(session, name)
        assert found.paths == [name]
        assert found.to_manifest().sources[0].name == os.fsdecode(b"stra\xdfe.mkv")
        verify_chain(session, film_stream(film.id))


def test_a_film_is_found_by_accession_and_id_prefix(catalog: Catalog) -> None:
    with catalog.begin() as session:
        film = add_film(session, accession="F 12/3")
        add_film(session, "b.mkv", accession="F 12/4")
        for text in ("F 12/3", film.id, film.id[:12]):
            assert find_film(session, text).id == film.id
        assert film_by_id(session, film.id) is not None
        assert film_by_id(session, "0" * 64) is None


def test_a_film_that_is_not_there_says_how_to_name_one(catalog: Catalog) -> None:
    with catalog.begin() as session:
        film = add_film(session)
        for text in ("", "nothing", film.id[:3], "%", "____", "g" * 12, film.id[:8].upper() + "X"):
            with pytest.raises(UsageError, match=r"no such film.*restar status"):
                find_film(session, text)


def test_several_films_of_one_name_are_listed(catalog: Catalog) -> None:
    with catalog.begin() as session:
        films = [
            add_film(session, name, accession="F 12", title=title)
            for name, title in (("a.mkv", "Reel one"), ("b.mkv", "Reel two"))
        ]
        with pytest.raises(UsageError, match="names 2 films") as caught:
            find_film(session, "F 12")
    for film in films:
        assert film.id[:12] in str(caught.value)
        assert film.title in str(caught.value)


def test_a_master_is_found_by_path_and_id_prefix(catalog: Catalog) -> None:
    with catalog.begin() as session:
        finished(session)
    with catalog.read() as session:
        master = find_master(session, "/out/a.mkv")
        assert find_master(session, master.id[:8]).id == master.id
        assert master.state is MasterState.OK
        for text in ("/out/b.mkv", "", master.id[:3]):
            with pytest.raises(UsageError, match="no such master"):
                find_master(session, text)


def test_a_path_leads_to_its_newest_master(catalog: Catalog) -> None:
    with catalog.begin() as session:
        finished(session)
    with catalog.begin() as session:
        newer = finished(session, "b.mkv")
        assert find_master(session, "/out/a.mkv").restoration_id == newer.id


def test_an_edit_makes_the_next_version(catalog: Catalog) -> None:
    merged = (Scene(1, 0, 25), Scene(2, 25, 30))
    with catalog.begin() as session:
        film = add_film(session)
        assert latest_shot_list(session, film.id) is None
        first = save_shot_list(
            session, film.id, SCENES, detector="adaptive", parameters={"t": 3.0}, made_by="restar"
        )
        second = save_shot_list(
            session, film.id, merged, detector="edit", parameters={}, made_by="Ada",
            parent=first.id, note="merge 1-2",
        )  # fmt: skip
    with catalog.read() as session:
        latest = latest_shot_list(session, film.id)
        assert latest is not None
        assert (latest.version, latest.parent_id, latest.note) == (2, first.id, "merge 1-2")
        assert scenes_of(session, second.id) == merged
        assert scenes_of(session, shot_list_by_version(session, film.id, 1).id) == SCENES
        with pytest.raises(UsageError, match="no shot list 3; the newest is 2"):
            shot_list_by_version(session, film.id, 3)


@pytest.mark.parametrize(
    ("scenes", "says"),
    [
        ([], "needs a scene"),
        ([Scene(2, 0, 30)], "numbered 1, 2, 3"),
        ([Scene(1, 0, 10), Scene(2, 12, 30)], "ends at frame 10, but scene 2 begins at 12"),
        ([Scene(1, 0, 10), Scene(2, 8, 30)], "have to meet"),
        ([Scene(1, 0, 0), Scene(2, 0, 30)], "scene 1 holds no frame"),
        ([Scene(1, 5, 30)], "begins at frame 5"),
        ([Scene(1, 0, 31)], "the film has 30 frames"),
        ([Scene(1, 0, 29)], "the film has 30 frames"),
    ],
)
def test_scenes_that_do_not_cover_the_film_are_refused(
    catalog: Catalog, scenes: list[Scene], says: str
) -> None:
    with catalog.begin() as session:
        film = add_film(session)
    with pytest.raises(UsageError, match=says), catalog.begin() as session:
        save_shot_list(session, film.id, scenes, detector="t", parameters={}, made_by="t")
