"""How long the pages of the review room take on a large catalog, and how large they are.

    python -m benchmarks.review fill --catalog FILE.sqlite [--films 10000] [--scenes 1000000]
    python -m benchmarks.review measure --catalog FILE.sqlite

`fill` makes a catalog of rows as restar writes them (no picture is behind them): one film of 1,000
scenes, the others of equal length; one scene in ten is flagged, one flag in three decided. `measure` asks
for each page five times through the application, in this process, and tells the median, the largest, and
what of it was the processor's own (the machine may be busy with other things).
"""

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from catalog import Catalog, open_catalog
from catalog.models import Base
from restar.settings import Settings

__all__ = ["fill", "measure", "pages_of"]

LARGE = 1000  # scenes of the first film
_FRAMES = 100
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_METRICS = ("psnr-to-source", "ssim-to-source")
_FLAG = "invented-detail: frames {}-{}, upper left: detail that the source does not support"
_FORMAT = {
    "encoder": "ffv1", "level": 3, "slices": 4,
    "video": {
        "colour": {"chroma_location": None, "matrix": "bt709", "primaries": "bt709",
                   "range": "tv", "transfer": "bt709"},
        "field_order": "progressive", "height": 1080, "pix_fmt": "yuv420p", "sar": "1/1",
        "width": 1920,
    },
}  # fmt: skip
_SPEC = {
    "format": _FORMAT, "negative": "", "prompt": "a street with people", "seed": 0,
    "steps": [{"algorithm": 1, "model_sha256": "", "options": {"scale": 2}, "use": "resize"}],
}  # fmt: skip
_MEDIA = {
    "chapters": [], "container": "matroska,webm", "metadata": {"title": "x" * 1000}, "picture": 0,
    "streams": [{"rate": "24", "video": _FORMAT["video"], "time_base": "1/1000"}],
    "measured": {"gaps": [], "marks": "0" * 64},
}  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("do", choices=("fill", "measure"))
    arguments.add_argument("--catalog", type=Path, required=True)
    arguments.add_argument("--films", type=int, default=10_000)
    arguments.add_argument("--scenes", type=int, default=1_000_000)
    given = arguments.parse_args()
    url = f"sqlite:///{given.catalog.absolute()}"
    if given.do == "fill":
        with open_catalog(url) as catalog:
            fill(catalog, given.films, given.scenes)
        return
    print(f"{'page':<38} {'median':>8} {'worst':>8} {'processor':>10} {'size':>9}")
    with tempfile.TemporaryDirectory() as home:
        for page, times, work, size in measure(
            Settings(home=Path(home), database=url, agent="bench")
        ):
            median, worst = 1000 * statistics.median(times), 1000 * max(times)
            cpu = 1000 * statistics.median(work)
            print(
                f"{page:<38} {median:5.0f} ms {worst:5.0f} ms {cpu:7.0f} ms {size / 1000:6.0f} kB"
            )


def fill(catalog: Catalog, films: int, scenes: int, large: int = LARGE) -> None:
    """Write the rows of so many films with so many scenes in all; the first has `large` of them."""
    common: dict[str, list[dict[str, Any]]] = {
        "recipe": [{"sha256": _sha("recipe"), "name": "large", "resolved": _RECIPE}],
        "environment": [{"sha256": _sha("environment"), "content": {"python": "3.11"}}],
        "metric_licence": [
            {"metric": m, "licence": "Apache-2.0", "commercial_use": True} for m in _METRICS
        ],
    }
    with catalog.begin() as session:
        for name, rows in common.items():
            session.execute(insert(Base.metadata.tables[name]), rows)
    each = max(1, (scenes - large) // max(1, films - 1))
    take = 0
    for first in range(0, films, 200):
        batch: dict[str, list[dict[str, Any]]] = {}
        for number in range(first, min(first + 200, films)):
            count = large if number == 0 else each
            for name, row in _film(number, count, take):
                batch.setdefault(name, []).append(row)
            take += count
        with catalog.begin() as session:
            for name in _ORDER:
                if name in batch:
                    session.execute(insert(Base.metadata.tables[name]), batch[name])
    if catalog.engine.dialect.name == "sqlite":
        with catalog.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA query_only = OFF")
            connection.exec_driver_sql("ANALYZE")
            connection.commit()


def measure(
    settings: Settings, repeats: int = 5
) -> Iterator[tuple[str, list[float], list[float], int]]:
    """Yield what each page took (s, `repeats` times), of the processor too, and its size in bytes."""
    from starlette.testclient import TestClient

    from review.app import create_app
    from tasks.house import open_house

    with (
        open_house(settings) as house,
        TestClient(create_app(house), base_url="http://127.0.0.1") as client,
    ):
        for name, page in pages_of().items():
            times: list[float] = []
            work: list[float] = []
            size = 0
            for _ in range(repeats):
                began, busy = time.perf_counter(), time.process_time()
                answer = client.get(page)
                times.append(time.perf_counter() - began)
                work.append(time.process_time() - busy)
                answer.raise_for_status()
                size = len(answer.content)
            yield name, times, work, size


def pages_of() -> dict[str, str]:
    """Return the pages that are measured, by name."""
    large, other = _sha("restoration 0"), _sha("restoration 7")
    return {
        "overview, by risk": "/",
        "overview, page 200": "/?page=200",
        "overview, newest": "/?sort=newest",
        "overview, by title": "/?sort=title",
        "overview, to decide": "/?show=decide",
        "overview, under way": "/?show=work",
        "overview, failed": "/?show=failed",
        "overview, done": "/?show=done",
        "overview, search": "/?q=film+77",
        "overview, search that finds nothing": "/?q=nothing+at+all",
        "queue and agents": "/queue",
        "film of 1,000 scenes": f"/r/{large}/",
        "film of 99 scenes": f"/r/{other}/",
        "scene of the film of 1,000": f"/r/{large}/scene/500",
        "scene, provenance": f"/r/{large}/scene/500/provenance?frame=49950",
    }


def _film(number: int, scenes: int, first_take: int) -> Iterable[tuple[str, dict[str, Any]]]:
    film, restoration = _sha(f"film {number}"), _sha(f"restoration {number}")
    at = _BEGAN + timedelta(minutes=number)
    name = f"film {number}.mkv"
    source = {"name": name, "sha256": _sha(name), "size": 1}
    yield "film", {
        "id": film, "kind": "file", "manifest": {"kind": "file", "sources": [source]},
        "accession": f"A{number:06}", "title": f"Film {number}" if number % 3 else "",
        "media": _MEDIA, "frame_index": _sha("index"), "frames": _FRAMES * scenes,
        "paths": [f"/archive/shelf {number % 40}/{name}"], "registered_at": at, "seen_at": at,
    }  # fmt: skip
    yield "shot_list", {
        "id": number + 1, "film_id": film, "version": 1, "detector": "test", "parameters": {},
        "made_by": "bench", "made_at": at,
    }  # fmt: skip
    yield "restoration", {
        "id": restoration, "film_id": film, "recipe_sha256": _sha("recipe"),
        "shot_list_id": number + 1, "take_format": _FORMAT, "opened_by": "bench", "opened_at": at,
        "state": "done" if number % 2 else "open",
    }  # fmt: skip
    for scene in range(1, scenes + 1):
        yield from _scene(film, restoration, number, scene, first_take + scene)


def _scene(
    film: str, restoration: str, number: int, scene: int, take: int
) -> Iterable[tuple[str, dict[str, Any]]]:
    start, end = _FRAMES * (scene - 1), _FRAMES * scene
    key, at = _sha(f"take {take}"), _BEGAN + timedelta(minutes=number)
    flagged = (scene + number) % 10 == 0
    where = {"start_frame": start, "end_frame": end}
    yield "scene", {"shot_list_id": number + 1, "number": scene, **where}
    yield "restoration_scene", {
        "restoration_id": restoration, "number": scene, **where, "caption": "a street with people",
        "captioner": "facts", "prompt": "a street with people", "wanted_spec": _SPEC,
        "wanted_take_key": key, "flags": [_FLAG.format(start, end - 1)] if flagged else [],
    }  # fmt: skip
    yield "take", {
        "id": take, "take_key": key, "film_id": film, **where, "spec": _SPEC,
        "spec_sha256": _sha("spec"), "sha256": _sha(f"file {take}"),
        "checksums_sha256": _sha(f"sums {take}"), "bytes": 10_000_000, "seconds": 20.0,
        "gpu_seconds": 18.0, "environment_sha256": _sha("environment"), "made_at": at,
    }  # fmt: skip
    yield "selection", {
        "restoration_id": restoration, "scene_number": scene, "take_id": take,
        "rule": "person" if flagged and take % 3 == 0 else "first", "decided_by": "bench",
        "selected_at": at,
    }  # fmt: skip
    for metric in _METRICS:
        yield "score", {
            "take_id": take, "metric": metric, "algorithm": 1, "licence": "Apache-2.0",
            "scored_at": at, "summary": {
                "algorithm": 1, "unit": "dB", "better": "higher", "mean": 38.0 + scene % 7,
                "worst": 30.0, "worst_frame": 5, "worst_part": 31.0, "trend": 0.1, "plain": 37.0,
                "change": 1.0, "measured": _FRAMES, "of": _FRAMES,
            },
        }  # fmt: skip
    state = "failed" if take % 5000 == 0 else "queued" if take % 50 == 0 else "done"
    yield "job", {
        "kind": "restore", "state": state, "phase": 1, "restoration_id": restoration,
        "film_id": film, "scene_number": scene, "dedupe_key": f"restore:{restoration}:{key}",
        "payload": {"take_key": key, "spec": _SPEC}, "queued_at": at, "changed_at": at,
        "error": "no memory" if state == "failed" else None, "turn": float(take),
        "need_id": None,
    }  # fmt: skip
    yield "event", {
        "film_id": film, "stream": f"restoration:{restoration}", "number": scene,
        "type": "restoration", "at": at, "agent": "bench", "outcome": "success",
        "detail": {"scene": scene, "take_key": key}, "software": "restar", "previous": "0" * 64,
        "sha256": _sha(f"event {take}"),
    }  # fmt: skip


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


_ORDER = ("film", "shot_list", "scene", "restoration", "restoration_scene", "take", "selection",
          "score", "job", "event")  # fmt: skip
_RECIPE: dict[str, Any] = json.loads(
    '{"name": "large", "restore": {"steps": [{"use": "resize", "options": {"scale": 2}}]}}'
)


if __name__ == "__main__":
    main()
