"""A film by a store on S3, over a network that fails: the same takes and the same master as on disk."""

import shutil
from pathlib import Path

from sqlalchemy import select

from catalog.models import TakeRow
from flows.fixity import audit
from flows.prepare import Order
from flows.restore import restore_film
from restar.recipe import Recipe
from restar.settings import Settings
from tasks.house import open_house
from tests.flows.world import framemd5
from tests.store.proxy import Faults

RECIPE = Recipe.model_validate(
    {
        "name": "quick",
        "restore": {"steps": [{"use": "resize", "options": {"scale": 2}}]},
        "score": {"scorers": ["frozen"]},
        "deliver": {"access": "none", "report": False},
    }
)


def made(settings: Settings, film: Path, out: Path) -> tuple[dict[str, str], list[bytes]]:
    """The takes' hashes by key, and the master's frames."""
    with open_house(settings) as house:
        master = restore_film(house, film, Order(RECIPE, out))
        with house.catalog.read() as session:
            takes = {take.take_key: take.sha256 for take in session.scalars(select(TakeRow))}
    return takes, framemd5(master)


def test_the_same_master_as_on_disk(scenes: Path, network: Faults, tmp_path: Path) -> None:
    common = {"agent": "tester", "database": ""}
    on_disk = Settings(home=tmp_path / "disk", store=None, **common)
    on_s3 = Settings(home=tmp_path / "s3", store=f"s3://films/{tmp_path.name}", **common)
    expected = made(on_disk, scenes, tmp_path / "a")
    network.plan.extend(["", "500", "cut", "slow", "500", "", "cut"])
    assert made(on_s3, scenes, tmp_path / "b") == expected
    assert {"500", "cut", "slow"} <= set(network.met)

    shutil.rmtree(tmp_path / "s3" / "store" / "objects")  # another host has nothing here yet
    network.plan.extend(["cut", "500"])
    assert made(on_s3, scenes, tmp_path / "c") == expected
    with open_house(on_s3) as house:
        assert audit(house).failed == []
