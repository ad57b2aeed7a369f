"""`restar up`: everything on one machine, in one command."""

from typing import Annotated

import typer

__all__ = ["up"]


def up(
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where the pages listen. Nobody signs in: leave it at this machine, or put a proxy "
            "with sign-in before it.",
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of Prefect's page.")] = 4200,
    review_port: Annotated[
        int, typer.Option("--review-port", min=1, max=65535, help="Of the review room.")
    ] = 8765,
    gpus: Annotated[
        int | None,
        typer.Option(
            "--gpus", min=1, metavar="N", help="How many agents may run; else one for each GPU."
        ),
    ] = None,
    cpus: Annotated[
        int,
        typer.Option("--cpus", min=1, metavar="N", help="How many runs of the pool cpu at once."),
    ] = 2,
) -> None:
    """Start Prefect's server, both work pools, all deployments, workers and the review room here.

    Then films may be given by Prefect's page, by `prefect deployment run bulk/bulk`, by a schedule, or by
    `restar bulk --queue`: agents are started where work is ready (`tend`, each minute). Ctrl-C ends
    all of it; agents hand back what they hold. For many hosts see docs/deploy.md.
    """
    import signal
    import threading

    from cli.console import stderr
    from flows.parts import parts_of
    from flows.up import up as run
    from restar.settings import load_settings
    from tasks.device import count_gpus
    from tasks.house import open_house

    settings = load_settings()
    with open_house(settings):
        pass  # what is wrong with home, catalog or store is told before anything is started
    agents = gpus or max(1, count_gpus())
    home = settings.home.absolute() / "server"
    parts = parts_of(home, host, port, review_port, cpus, agents)
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set())
              for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}  # fmt: skip
    try:
        run(
            parts,
            home / "logs",
            told=lambda line: stderr().print(f"restar: {line}", soft_wrap=True),
            stop=stop,
            gpu_limit=agents,
        )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
