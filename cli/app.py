"""The tree of commands. Nothing heavy is imported here: `restar --help` must be there at once."""

from typing import Annotated

import typer

from cli import (
    agent,
    bulk,
    caption,
    events,
    export,
    preview,
    recipes,
    redo,
    report,
    restore,
    review,
    roundtrip,
    score,
    shots,
    status,
)
from cli.degrade import degrade
from cli.doctor import doctor
from cli.fixity import fixity
from cli.parity import parity
from cli.prometheus import prometheus
from cli.tidy import hold, tidy
from cli.train import train
from cli.up import up
from cli.weights import weights

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Brings archival film and video back, scene by scene, and can prove what it did.",
    epilog="A first try: `restar preview FILM`, then `restar restore FILM -o restored`.",
)


@app.callback(invoke_without_command=True)
def _common(
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    if version:
        from restar import __version__

        typer.echo(f"restar {__version__}")
        raise typer.Exit

    from restar.log import set_up_logging
    from restar.settings import load_settings

    settings = load_settings()
    set_up_logging(settings.log, settings.log_format)


_RUN, _LOOK, _CARE = "Restore", "Look", "Care"

app.command("restore", rich_help_panel=_RUN)(restore.restore)
app.command("preview", rich_help_panel=_RUN)(preview.preview)
app.command("bulk", rich_help_panel=_RUN)(bulk.bulk)
app.command("redo", rich_help_panel=_RUN)(redo.redo)
app.command("select", rich_help_panel=_RUN)(redo.select)
app.command("choose", rich_help_panel=_RUN)(redo.choose)
app.command("shots", rich_help_panel=_RUN)(shots.shots)
app.command("caption", rich_help_panel=_RUN)(caption.caption)
app.command("agent", rich_help_panel=_RUN)(agent.agent)
app.command("up", rich_help_panel=_RUN)(up)
app.command("status", rich_help_panel=_LOOK)(status.status)
app.command("events", rich_help_panel=_LOOK)(events.events)
app.command("jobs", rich_help_panel=_LOOK)(agent.jobs)
app.command("agents", rich_help_panel=_LOOK)(agent.agents)
app.command("cost", rich_help_panel=_LOOK)(agent.cost)
app.command("score", rich_help_panel=_LOOK)(score.score)
app.command("report", rich_help_panel=_LOOK)(report.report)
app.command("review", rich_help_panel=_LOOK)(review.review)
app.command("metrics", rich_help_panel=_LOOK)(score.metrics)
app.command("export", rich_help_panel=_LOOK)(export.export)
app.command("prometheus", rich_help_panel=_LOOK)(prometheus)
app.command("recipes", rich_help_panel=_LOOK)(recipes.recipes)
app.command("roundtrip", rich_help_panel=_CARE)(roundtrip.roundtrip)
app.add_typer(weights, name="weights", rich_help_panel=_CARE)
app.command("parity", rich_help_panel=_CARE)(parity)
app.command("doctor", rich_help_panel=_CARE)(doctor)
app.command("fixity", rich_help_panel=_CARE)(fixity)
app.command("tidy", rich_help_panel=_CARE)(tidy)
app.command("hold", rich_help_panel=_CARE)(hold)
app.command("degrade", rich_help_panel=_CARE)(degrade)
app.command("train", rich_help_panel=_CARE)(train)
