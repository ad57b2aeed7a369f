"""Delivery: copies and pages made from a finished master, for people to look at.

None of them is needed to prove or rebuild a master; each can be made again at any time.
"""

from pathlib import Path

from catalog.models import MasterRow, RestorationRow
from media.access import is_access_copy_of, write_access_copy
from media.attach import read_attachment
from media.captions import CAPTION_FILES, CAPTION_MARK
from media.probe import probe
from restar.errors import MediaError
from restar.progress import track
from restar.recipe import Recipe
from store import replace, write_error
from tasks.house import House, OpenFilm
from tasks.report import write_report
from tasks.step import step

__all__ = ["access_path", "deliver", "report_path"]


def access_path(master: Path) -> Path:
    return master.with_suffix(".access.mp4")


def report_path(master: Path) -> Path:
    return master.with_suffix(".report.html")


@step("deliver {target.name}")
def deliver(
    house: House,
    film: OpenFilm,
    restoration: RestorationRow,
    master: MasterRow,
    recipe: Recipe,
    *,
    target: Path,
) -> list[Path]:
    """Make what the recipe's `deliver` section asks for, where it is not there; return the paths.

    A film's captions are laid beside its master as well as in it: tools look for them there.
    """
    made = []
    if CAPTION_MARK in film.row.media["measured"].get("marked_frames", {}):
        made += _captions(target)
    if recipe.deliver.access == "h264":
        made.append(_access(target, master.sha256, recipe.deliver.access_crf))
    if recipe.deliver.report:
        path = report_path(target)
        part = path.with_name(f".{path.name}.part")
        try:
            write_report(house, film, restoration, master, recipe, part)
            replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        made.append(path)
    return made


def _access(target: Path, sha256: str, crf: int) -> Path:
    path = access_path(target)
    if _is_current(path, sha256):
        return path
    part = path.with_name(f".{path.name}.part")
    try:
        with track(f"access copy {path.name}", "frames", None):
            write_access_copy(target, probe(target), part, crf, sha256)
        replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _captions(master: Path) -> list[Path]:
    made = []
    info = probe(master)
    for name in CAPTION_FILES:
        data = read_attachment(master, info, name)
        if data is None:
            continue
        path = master.with_suffix(Path(name).suffix)
        part = path.with_name(f".{path.name}.part")
        try:
            part.write_bytes(data)
            replace(part, path)
        except OSError as error:
            raise write_error(path, error) from None
        finally:
            part.unlink(missing_ok=True)
        made.append(path)
    return made


def _is_current(path: Path, sha256: str) -> bool:
    try:
        return is_access_copy_of(sha256, probe(path))
    except MediaError:
        return False
