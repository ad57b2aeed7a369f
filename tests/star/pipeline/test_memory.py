"""Predicted memory: counted as torch would hold it, more for more, and windows that fit a limit."""

from dataclasses import replace

import torch

from star.pipeline.ledger import peak_bytes
from star.pipeline.memory import Appetite, Load, appetite_of, fitting
from star.pipeline.models import Tiny
from star.tinymodel import TinyStar


def test_the_ledger_counts_what_is_alive_at_once() -> None:
    def run() -> object:
        one = torch.empty(1000, device="meta")
        two = one + 1
        del one
        three = two * 2
        return three.view(10, 100)

    assert peak_bytes(run) == 8000


def test_attention_is_counted_as_the_fused_kernels_do_it() -> None:
    def run() -> object:
        q = torch.empty(1, 2, 5000, 8, device="meta")
        return torch.nn.functional.scaled_dot_product_attention(q, q, q)

    assert peak_bytes(run) == 2 * 4 * 2 * 5000 * 8


def test_a_convolution_of_the_processor_borrows() -> None:
    conv = torch.nn.Conv2d(4, 4, 3, padding=1, device="meta")

    def run() -> object:
        return conv(torch.empty(1, 4, 10, 10, device="meta"))

    assert peak_bytes(run, on_processor=True) == 2 * peak_bytes(run, on_processor=False)


def tiny_appetite() -> Appetite:
    model = Tiny(TinyStar())
    network = model.model.network.to("meta")
    return appetite_of(network, None, 18_000_000, 48, (77, 64), 4, torch.float32)


def test_a_networks_share_grows_with_frames_and_area() -> None:
    found = tiny_appetite()
    assert 10 < found.denoise / (48 * 4) < 60  # so many latents are alive at the worst moment
    load = Load(138, 240, 1, 16, 2)
    assert load.bytes(found) < replace(load, window=32).bytes(found)
    assert replace(load, tile=64).bytes(found) < load.bytes(found)


def test_windows_shrink_first_then_tiles_come() -> None:
    found, load = tiny_appetite(), Load(138, 240, 1, 16, 2)
    whole = load.bytes(found)
    assert fitting(load, found, whole, 4, False) == load
    shorter = fitting(load, found, whole - 1, 4, False)
    assert shorter is not None
    assert (shorter.window, shorter.tile) == (12, 0)
    assert shorter.bytes(found) < whole
    tiled = fitting(load, found, replace(load, window=8).bytes(found) - 1, 4, False)
    assert tiled is not None
    assert tiled.tile > 0
    guided = replace(load, passes_at_once=2)
    assert guided.bytes(found) > 1.4 * whole
    assert fitting(guided, found, whole, 4, False) == load  # two passes before a shorter window
    fixed = fitting(load, found, whole - 1, 4, True)
    assert fixed is not None
    assert fixed.window == 16
    assert fitting(load, found, 1 << 20, 4, False) is None
