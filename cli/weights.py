"""`restar weights`: which model weights are here, and bringing others in."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from star.weights import Installed
    from tasks.house import House

__all__ = ["weights"]

weights = typer.Typer(
    no_args_is_help=True,
    help="Model weights: list, fetch, import, check, or make untrained ones for trials.\n\n"
    "Only STAR needs weights. They lie in RESTAR_HOME/weights. Their licences are shown before they "
    "are used; `--accept-licence` says that you read and accept one. See docs/star.md.",
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="See `list`.", show_default=False)]
_As = Annotated[str, typer.Option("--as", metavar="NAME", help="What to call them here.")]
_Accept = Annotated[bool, typer.Option("--accept-licence", help="Accept the weights' licence.")]
_Force = Annotated[bool, typer.Option("--force", help="Replace weights of this name.")]


@weights.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """List the weights that are here, and the published ones that can be fetched."""
    import json

    from star.known import KNOWN
    from star.weights import installed

    here, broken = installed(_home())
    names = {one.record.name for one in here}
    if as_json:
        content = {
            "installed": [one.record.model_dump(mode="json") for one in here],
            "broken": broken,
            "known": [{"name": k.name, "kind": k.kind, "licence": k.licence} for k in KNOWN],
        }
        typer.echo(json.dumps(content, indent=2))
        return
    from rich.console import Console

    from cli.console import table

    shown = table("", "weights", "parts", "parameters", "licence", "what")
    for one in here:
        record = one.record
        what = record.source if record.trained else "[yellow]untrained: for trials only[/]"
        shown.add_row(record.name, ", ".join(record.parts), f"{record.parameters / 1e6:.1f} M",
                      record.licence, what)  # fmt: skip
    for known in KNOWN:
        if known.name not in names:
            fetched = f"not here ({known.gigabytes:g} GB): {known.what}"
            shown.add_row(
                f"[dim]{known.name}[/]", f"[dim]{known.kind}[/]", "", known.licence, fetched
            )
    console = Console()
    console.print(shown)
    for line in broken:
        console.print(f"[red]✗[/] {line}", highlight=False)
    console.print("`restar weights fetch NAME`, or `restar weights import FILE --as NAME`.")


@weights.command()
def fetch(name: _Name, accept_licence: _Accept = False, force: _Force = False) -> None:
    """Fetch published weights from the Hugging Face hub, and convert and check them."""
    from cli.console import open_house_here, progress_shown
    from star.installed import require_star

    require_star()
    from star.hub import fetch_weights
    from star.install import Consent

    with open_house_here() as house, progress_shown():
        consent = Consent(accept_licence, house.who)
        made = fetch_weights(_home(), name, consent, force)
        _record_licence(house, made)
    _tell(made)


@weights.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE|DIR",
            help="A published .pt or .safetensors; or the folder of the VAE or the text tower.",
            show_default=False,
        ),
    ],
    name: _As,
    config: Annotated[
        str,
        typer.Option("--config", metavar="C", help="Size of the denoiser: a name, or a JSON file."),
    ] = "published",
    accept_licence: _Accept = False,
    licence: Annotated[
        str | None,
        typer.Option("--licence", metavar="L", help="The licence, if not the published weights'."),
    ] = None,
    force: _Force = False,
) -> None:
    """Take weights in from a file: every key is checked, the result is safetensors.

    A file that is damaged, incomplete or not what it should be is refused with the first key that
    differs. Pickles are read for tensors only; no code in them is run.
    """
    from cli.console import open_house_here, progress_shown
    from star.installed import require_star

    require_star()
    from star.install import Consent, import_weights

    with open_house_here() as house, progress_shown():
        consent = Consent(accept_licence, house.who, licence)
        made = import_weights(_home(), source, name, consent, config=config, force=force)
        _record_licence(house, made)
    _tell(made)


@weights.command()
def check(name: _Name) -> None:
    """Check weights: the sha256 of every file, the name, shape and numbers of every tensor."""
    from cli.console import progress_shown
    from star.installed import require_star

    require_star()
    from star.install import check_weights

    with progress_shown():
        found = check_weights(_home(), name)
    record = found.record
    parts = ", ".join(record.parts)
    typer.echo(f"weights '{name}' are whole: {parts}, {record.parameters:,} parameters", err=True)
    typer.echo(record.sha256)


@weights.command()
def init(
    name: _As,
    config: Annotated[
        str, typer.Option("--config", metavar="C", help="A name (tiny, published), or a JSON file.")
    ] = "tiny",
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="The same again: same seed.")
    ] = 0,
    force: _Force = False,
) -> None:
    """Make a whole model of untrained weights, for trials. What it restores is noise."""
    from cli.console import open_house_here, progress_shown
    from star.installed import require_star

    require_star()
    from star.install import init_weights

    with open_house_here() as house, progress_shown():
        made = init_weights(_home(), name, config, seed, force)
        _record_licence(house, made)
    _tell(made)


def _home() -> Path:
    from restar.settings import load_settings

    return load_settings().weights_root


def _record_licence(house: "House", made: "Installed") -> None:
    from catalog.agents import record_model_licence

    record = made.record
    with house.catalog.begin() as session:
        record_model_licence(
            session,
            model_sha256=record.sha256,
            name=record.name,
            licence=record.licence,
            commercial_use=record.commercial_use,
            source=record.source,
        )


def _tell(made: "Installed") -> None:
    """Say what is here now, and print the folder."""
    record = made.record
    untrained = "" if record.trained else "; untrained: what it restores is noise"
    typer.echo(
        f"weights '{record.name}': {', '.join(record.parts)}, {record.parameters:,} parameters, "
        f"licence {record.licence}{untrained}",
        err=True,
    )
    typer.echo(made.path)
