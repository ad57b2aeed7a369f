"""Figures as a Prometheus server reads them, by its own parser; one agent a GPU."""

import multiprocessing
import threading
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.prepare import Order, prepare
from restar.errors import UsageError
from restar.recipe import load_recipe
from restar.settings import Settings
from tasks.gpulock import a_gpu_of_ones_own
from tasks.house import open_house
from tasks.prometheus import exposition, server_of


def test_the_figures_of_a_queue(settings: Settings, scenes: Path, tmp_path: Path) -> None:
    with open_house(settings) as house:
        prepare(house, scenes, Order(load_recipe("identity"), tmp_path / "out"))
        text = exposition(house)
        with server_of(house, "127.0.0.1", 0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://127.0.0.1:{server.server_address[1]}"
            served = httpx.get(f"{url}/metrics", trust_env=False)
            assert httpx.get(f"{url}/other", trust_env=False).status_code == 404
            server.shutdown()
    assert served.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert served.text.splitlines()[:5] == text.splitlines()[:5]
    samples = {
        (s.name, tuple(sorted(s.labels.items()))): s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }
    assert samples["restar_jobs", (("kind", "restore"), ("state", "queued"))] == 4
    assert samples["restar_jobs", (("kind", "restore"), ("state", "failed"))] == 0
    assert samples["restar_restorations", (("state", "open"),)] == 1
    assert samples["restar_films", ()] == 1
    assert samples["restar_frames_total", ()] == 0
    assert samples["restar_oldest_job_seconds", ()] >= 0
    assert samples["restar_store_free_bytes", ()] > 0


def _hold(folder: str, ready: "multiprocessing.synchronize.Event") -> None:
    with a_gpu_of_ones_own(None, Path(folder)):
        ready.set()
        multiprocessing.Event().wait(60)


def test_one_agent_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-aa,GPU-bb")
    with a_gpu_of_ones_own(None, tmp_path) as first, a_gpu_of_ones_own(None, tmp_path) as second:
        assert (first, second) == (0, 1)
        with pytest.raises(UsageError, match="each of the 2 GPUs"):  # noqa: SIM117
            with a_gpu_of_ones_own(None, tmp_path):
                pass
        with pytest.raises(UsageError, match="GPU 1 has an agent already"):  # noqa: SIM117
            with a_gpu_of_ones_own(1, tmp_path):
                pass
    with a_gpu_of_ones_own(1, tmp_path) as again:
        assert again == 1
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setattr("tasks.gpulock.count_gpus", lambda: 0)
    with a_gpu_of_ones_own(None, tmp_path) as none:
        assert none is None


def test_a_killed_agent_leaves_its_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(str(tmp_path), ready))
    process.start()
    assert ready.wait(60)
    with pytest.raises(UsageError, match="has an agent already"):  # noqa: SIM117
        with a_gpu_of_ones_own(0, tmp_path):
            pass
    process.kill()
    process.join()
    with a_gpu_of_ones_own(0, tmp_path) as number:
        assert number == 0
