"""`restar fixity`: is everything still what it was?"""

import json
from typing import Annotated

import typer

__all__ = ["fixity"]


def fixity(
    films: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILM]...", help="Only these films.", show_default=False),
    ] = None,
    sources: Annotated[
        bool, typer.Option("--sources", help="Hash the films' own source files, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for other programs.")] = False,
) -> None:
    """Hash every stored object and master again; each that fails becomes an event.

    A take that was altered or is gone is made again by the next `restar restore` of its film; other
    files are set aside. Ends with status 4 if anything failed.
    """
    from catalog.films import find_film
    from cli.console import open_house_here, progress_shown, stderr
    from flows.fixity import audit
    from restar.errors import VerificationError

    with open_house_here() as house, progress_shown():
        with house.catalog.read() as session:
            ids = tuple(find_film(session, name).id for name in films or ())
        found = audit(house, ids, sources=sources)
    if as_json:
        rows = [vars(one) for one in found.failed]
        data = {"objects": found.objects, "bytes": found.bytes, "failed": rows}
        typer.echo(json.dumps(data, indent=2))
    else:
        stderr().print(f"restar: {found.objects} objects, {found.bytes >> 20} MiB hashed")
        for one in found.failed:
            typer.echo(f"{one.film}\t{one.what}\t{one.reason}")
    if found.failed:
        raise VerificationError(
            f"{len(found.failed)} of {found.objects} objects are not what they were; `restar restore` "
            "makes takes again, for the rest look at a backup"
        )
