"""The figures of an installation in Prometheus' text format, read from the catalog at each scrape."""

from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from catalog.figures import figures
from restar.errors import RestarError
from tasks.house import House

__all__ = ["exposition", "server_of"]

_STATES = ("queued", "leased", "failed")
_KINDS = ("caption", "restore", "score", "proxy", "assemble")
_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[str, float]


def exposition(house: House) -> str:
    """Return the figures as text: to be scraped, or for the textfile collector of a node exporter."""
    with house.catalog.read() as session:
        found = figures(session, silent_after=house.settings.lease_seconds)
    return "".join(_lines(found, house.store.free_bytes()))


def server_of(house: House, host: str, port: int) -> ThreadingHTTPServer:
    """Return a server of /metrics, to be run by `serve_forever`; raises OSError for a taken port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(404, "it is at /metrics")
                return
            try:
                body = exposition(house).encode()
            except RestarError as error:
                self.send_error(503, " ".join(str(error).split()))
                return
            self.send_response(200)
            self.send_header("Content-Type", _TYPE)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    return ThreadingHTTPServer((host, port), Handler)


def _lines(found: dict[str, Any], free: int) -> Iterator[str]:
    jobs = found["jobs"]
    kinds = [*_KINDS, *sorted({kind for kind, _ in jobs} - set(_KINDS))]
    yield from _family("restar_jobs", "gauge", "Jobs by kind and state.", [
        (f'{{kind="{kind}",state="{state}"}}', jobs.get((kind, state), 0))
        for kind in kinds for state in _STATES
    ])  # fmt: skip
    for key, what in (("agents", "Agents by state."), ("restorations", "Restorations by state.")):
        samples = [(f'{{state="{state}"}}', n) for state, n in sorted(found[key].items())]
        yield from _family(f"restar_{key}", "gauge", what, samples)
    for name, kind, what, value in (
        (
            "oldest_job_seconds",
            "gauge",
            "Age of the oldest ready job.",
            found["oldest_job_seconds"],
        ),
        ("films", "gauge", "Films in the catalog.", found["films"]),
        ("take_bytes", "gauge", "Bytes of all takes that are there.", found["take_bytes"]),
        ("flagged_scenes", "gauge", "Scenes with a flag.", found["flagged_scenes"]),
        ("masters", "gauge", "Masters that stand.", found["masters"]),
        ("store_free_bytes", "gauge", "Space that is left where this runs.", free),
        ("takes_total", "counter", "Takes that were ever made.", found["takes"]),
        ("frames_total", "counter", "Frames of them.", found["frames"]),
        ("work_seconds_total", "counter", "Seconds that they took.", found["seconds"]),
        ("gpu_seconds_total", "counter", "Seconds that they had a GPU.", found["gpu_seconds"]),
    ):
        yield from _family(f"restar_{name}", kind, what, [("", value)])


def _family(name: str, kind: str, what: str, samples: Iterable[Sample]) -> Iterator[str]:
    yield f"# HELP {name} {what}\n# TYPE {name} {kind}\n"
    for labels, value in samples:
        yield f"{name}{labels} {value}\n"
