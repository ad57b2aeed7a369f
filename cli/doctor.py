"""`restar doctor`: what is here, what is missing, and how to get it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Literal

import typer

if TYPE_CHECKING:
    from restar.settings import Settings

__all__ = ["doctor"]

Mark = Literal["ok", "note", "fault"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. A `fault` has to be mended before films can be restored."""

    what: str
    mark: Mark
    found: str
    help: str = ""


def doctor() -> None:
    """Look at ffmpeg, GPU, weights, database, store, disk and plug-ins; say how to mend what is missing.

    Exits 1 where something is missing that every restoration needs.
    """
    from rich.console import Console
    from rich.markup import escape

    from cli.console import table
    from restar.settings import load_settings

    settings = load_settings()
    findings = [finding for look in _LOOKS for finding in look(settings)]
    marks = {"ok": "[green]✓[/]", "note": "[yellow]·[/]", "fault": "[red]✗[/]"}
    shown = table("", "", "what", "found", "what to do")
    for one in findings:
        shown.add_row(marks[one.mark], *map(escape, (one.what, one.found, one.help)))
    Console().print(shown)
    if any(one.mark == "fault" for one in findings):
        raise typer.Exit(1)


def _ffmpeg(_settings: "Settings") -> Iterator[Finding]:
    from media.ffmpeg import ask, ffmpeg_program
    from restar.errors import MediaError

    try:
        first = ask("-version").splitlines()[0]
        encoders = ask("-encoders")
        yield Finding("ffmpeg", "ok", f"{first.split(' Copyright')[0]} ({ffmpeg_program()})")
        missing = [name for name in ("ffv1", "libx264") if f" {name} " not in encoders]
        if missing:
            yield Finding("encoders", "fault", f"ffmpeg lacks {', '.join(missing)}",
                          "unset RESTAR_FFMPEG, or name a complete ffmpeg there")  # fmt: skip
    except (MediaError, OSError) as error:
        yield Finding("ffmpeg", "fault", str(error), "pip install imageio-ffmpeg")


def _database(settings: "Settings") -> Iterator[Finding]:
    from catalog import open_catalog
    from catalog.status import status
    from restar.errors import CatalogError

    try:
        with open_catalog(settings.database_url) as catalog, catalog.read() as session:
            films = len(status(session)["films"])
        yield Finding("catalog", "ok", f"{catalog.url}: {films} films")
    except CatalogError as error:
        yield Finding("catalog", "fault", str(error))


def _store(settings: "Settings") -> Iterator[Finding]:
    from restar.errors import StoreError
    from store import open_store

    try:
        store = open_store(settings.store_place, settings.store_root)
        with store.staging() as folder:
            (folder / "trial").write_bytes(b"x")
    except (StoreError, OSError) as error:
        yield Finding("store", "fault", str(error))
        return
    yield Finding("store", "ok", settings.store_place)
    gigabytes = store.free_bytes() / 1e9
    enough = gigabytes > _LEAST_GB
    advice = "" if enough else "free some space, or set RESTAR_STORE to a larger disk"
    yield Finding("disk", "ok" if enough else "note", f"{gigabytes:.1f} GB free", advice)


def _gpu(_settings: "Settings") -> Iterator[Finding]:
    try:
        import torch
    except ImportError:
        yield Finding("torch", "note", "not installed: no STAR, plain restorers work",
                      "pip install 'restar[star]'")  # fmt: skip
        return
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(index).total_memory / 2**30
            yield Finding("GPU", "ok", f"{torch.cuda.get_device_name(index)}, {memory:.0f} GiB")
        return
    yield Finding("GPU", "note", f"none; torch {torch.__version__} works on the processor",
                  "STAR at full size needs a CUDA GPU and its driver (nvidia-smi)")  # fmt: skip


def _weights(settings: "Settings") -> Iterator[Finding]:
    from star.weights import installed

    here, broken = installed(settings.weights_root)
    for weights in here:
        record = weights.record
        trained = "" if record.trained else ", untrained: for trials only"
        found = f"{', '.join(record.parts)} ({record.licence}{trained})"
        yield Finding(f"weights {record.name}", "ok", found)
    for line in broken:
        yield Finding("weights", "note", line, "restar weights list")
    if not here and not broken:
        yield Finding("weights", "note", f"none in {settings.weights_root}",
                      "only STAR needs weights: restar weights list")  # fmt: skip


def _plugins(_settings: "Settings") -> Iterator[Finding]:
    from restar.errors import PluginError
    from restar.plugins import Family, load_plugin, plugin_names

    families: tuple[Family, ...] = ("restorers", "captioners", "scorers")
    for family in families:
        usable, broken = [], []
        for name in plugin_names(family):
            try:
                load_plugin(family, name)
                usable.append(name)
            except PluginError as error:
                broken.append(Finding(f"{family[:-1]} {name}", "note", str(error)))
        yield Finding(family, "ok" if usable else "fault", ", ".join(usable) or "none",
                      "" if usable else "install restar itself: pip install restar")  # fmt: skip
        yield from broken


def _engine(settings: "Settings") -> Iterator[Finding]:
    yield Finding("flow engine", "ok", f"Prefect {version('prefect')} in {settings.prefect_home}")


def _extras(_settings: "Settings") -> Iterator[Finding]:
    for package, extra, what in (
        ("psycopg", "postgres", "catalog on PostgreSQL"),
        ("pyiqa", "iqa", "quality measures; PolyForm Noncommercial: not for commercial use"),
    ):
        try:
            yield Finding(package, "ok", f"{version(package)} ({what})")
        except PackageNotFoundError:
            yield Finding(
                package, "note", f"not installed ({what})", f"pip install 'restar[{extra}]'"
            )


_LEAST_GB = 10
_LOOKS: tuple[Callable[["Settings"], Iterator[Finding]], ...] = (
    _ffmpeg, _database, _store, _engine, _plugins, _gpu, _weights, _extras,
)  # fmt: skip
