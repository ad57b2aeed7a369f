"""Fixity and the watch folder: what is altered is told and made again; what still grows is left alone."""

import threading
import time
from pathlib import Path

import pytest

from catalog.events import events_of
from catalog.films import find_film
from flows.bulk import State
from flows.fixity import audit
from flows.prepare import Order
from flows.restore import restore_film
from flows.watch import settled, watch
from restar.errors import UsageError
from restar.recipe import Recipe
from restar.settings import Settings
from tasks.filmlist import read_list
from tasks.house import open_house

QUICK = Recipe.model_validate(
    {
        "name": "quick",
        "restore": {"steps": [{"use": "identity"}]},
        "score": {"scorers": []},
        "deliver": {"access": "none", "report": False},
    }
)


def test_an_altered_take_and_master_are_told_and_made_again(
    settings: Settings, scenes: Path, tmp_path: Path
) -> None:
    order = Order(QUICK, tmp_path / "out")
    with open_house(settings) as house:
        master = restore_film(house, scenes, order)
        whole = audit(house, sources=True)
        assert whole.failed == []
        assert whole.objects >= 12  # index, marks, measure, 4 takes with checksums, master, source
        assert whole.bytes > master.stat().st_size
        with house.catalog.read() as session:
            film = find_film(session, str(scenes))
            (said,) = [e for e in events_of(session, film.id) if e["type"] == "fixity check"]
        assert (said["outcome"], said["detail"]["objects"]) == ("success", whole.objects)

        takes = max(
            (settings.store_root / "objects").rglob("*"),
            key=lambda p: p.is_file() and p.stat().st_size,
        )
        takes.chmod(0o644)
        takes.write_bytes(takes.read_bytes()[:-1] + b"?")
        master.write_bytes(master.read_bytes()[:-1] + b"?")
        found = audit(house, (film.id,))
        assert sorted(one.what.split()[0] for one in found.failed) == ["master", "take"]
        with house.catalog.read() as session:
            told = [e for e in events_of(session, film.id) if e["outcome"] == "fail"]
        assert [e["type"] for e in told] == ["fixity check"] * 2
        assert restore_film(house, scenes, order) == master
        assert audit(house).failed == []
        assert len(list((settings.store_root / "quarantine").iterdir())) == 1


def test_a_file_that_still_grows_is_taken_when_it_has_settled(
    settings: Settings, scenes: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    data = scenes.read_bytes()
    (folder / "whole.mp4").write_bytes(data)
    growing = folder / "growing.mp4"
    growing.write_bytes(data[:1000])
    stop = threading.Event()

    def copy() -> None:
        with growing.open("ab") as file:
            while not stop.wait(0.02):
                file.write(b"x")
                file.flush()

    copying = threading.Thread(target=copy)
    copying.start()
    with open_house(settings) as house:
        try:
            entries = settled(house, read_list(folder, QUICK), out, 0.3)
        finally:
            stop.set()
            copying.join()
        assert [entry.path.name for entry in entries] == ["whole.mp4"]
        growing.unlink()
        assert [o.state for o in watch(house, folder, QUICK, out, settle_s=0.1)] == [State.QUEUED]
        began = time.monotonic()
        again = watch(house, folder, QUICK, out, settle_s=5)
        assert [o.state for o in again] == [State.QUEUED]
        assert time.monotonic() - began < 5, "a film that is known is not waited for"
        (tmp_path / "none").mkdir()
        assert watch(house, tmp_path / "none", QUICK, out) == []
        with pytest.raises(UsageError, match="no such folder"):
            watch(house, tmp_path / "gone", QUICK, out)
