"""`restar review`: the room where people look at films, compare, and decide."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

__all__ = ["review"]


def review(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Loopback only: 127.0.0.1, ::1, localhost.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any that is free.")] = 8765,
    helper: Annotated[
        bool,
        typer.Option(
            "--helper/--no-helper",
            help="Make proxies in a process beside it; without, some agent has to do that "
            "(`restar agent --kinds proxy`).",
        ),
    ] = True,
) -> None:
    """Serve the review room, a web page on this machine: look, compare, accept, reject, redo.

    It needs the catalog and the store; films' own files only for pictures of the source. Nobody signs
    in, so it listens on this machine only. Decisions are events under the name that a person gives in
    the page. Prints its address. Ctrl-C ends it.
    """
    from cli.console import open_house_here, stderr
    from review.server import listen, serve

    listener = listen(host, port)
    with open_house_here() as house:
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"http://{shown}:{listener.getsockname()[1]}/")
        stderr().print("restar: the review room is open; Ctrl-C closes it")
        with _helper(house.who) if helper else _nobody():
            serve(house, listener)


@contextmanager
def _helper(who: str) -> Iterator[None]:
    """An agent for proxies beside the room, of low priority; it leaves when the room does."""
    import os
    import subprocess
    import sys

    argv = [sys.executable, "-m", "cli.proxies"]
    named = {**os.environ, "RESTAR_AGENT": f"{who}, proxies"}
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=named)
    try:
        yield
    finally:
        assert process.stdin is not None  # noqa: S101
        process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def _nobody() -> Iterator[None]:
    yield
