"""`restar prometheus`: figures for monitoring."""

from typing import Annotated

import typer

__all__ = ["prometheus"]


def prometheus(
    listen: Annotated[
        int | None,
        typer.Option(
            "--listen", min=1, max=65535, metavar="PORT", help="Serve them, until Ctrl-C."
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="With --listen.")] = "127.0.0.1",
) -> None:
    """Print the installation's figures in Prometheus' format, or serve them to be scraped.

    Jobs by kind and state, age of the oldest ready job, agents by state, takes, frames, GPU seconds,
    bytes, flagged scenes, masters, free space. One process for all hosts is enough: the catalog
    knows everything. For a node exporter: `restar prometheus > restar.prom`.
    """
    from cli.console import open_house_here, stderr
    from restar.errors import UsageError
    from tasks.prometheus import exposition, server_of

    with open_house_here() as house:
        if listen is None:
            typer.echo(exposition(house), nl=False)
            return
        try:
            server = server_of(house, host, listen)
        except OSError as error:
            raise UsageError(f"--listen {listen}: {error.strerror or error}") from None
        stderr().print(f"restar: http://{host}:{listen}/metrics; Ctrl-C ends it")
        with server:
            server.serve_forever()
