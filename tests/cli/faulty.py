"""A restorer with a fault of its own, found by an entry point as any plug-in, for tests of scores."""

import sys
from pathlib import Path

import pytest

from restar.plugins import load_plugin

__all__ = ["install_faulty"]

_MODULE = '''
from dataclasses import replace

import numpy as np

from media.convert import from_rgb, scaled, to_rgb
from restar.errors import RecipeError
from restar.spec import ResolvedStep


class Faulty:
    """Twice the size, with a cast of colour where the seed is even."""

    name = "faulty"
    algorithm = 1
    needs_progressive = False

    def resolve(self, options, source):
        if set(options) - {"cast", "scale"}:
            raise RecipeError("step faulty: unknown option")
        return ResolvedStep(self.name, 1, {"cast": 0.1, **options}, "f" * 64)

    def output(self, step, source):
        return replace(source, width=2 * source.width, height=2 * source.height)

    def restore(self, frames, context):
        cast = context.step.options["cast"] if context.seed % 2 == 0 else 0.0
        target = context.target
        for frame in frames:
            made = scaled(frame, target.width, target.height, "lanczos")
            if cast:
                tinted = to_rgb(made) * np.array([1 + cast, 1, 1 - cast], np.float32)
                made = from_rgb(np.clip(tinted, 0, 1), target)
            made.pts, made.time_base = frame.pts, frame.time_base
            yield made
'''


def install_faulty(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the package on the path of this process, as `pip install` would."""
    about = folder / "faulty_restorer-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "faulty_restorer.py").write_text(_MODULE, encoding="utf-8")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-restorer\nVersion: 1.0\n")
    entry = "[restar.restorers]\nfaulty = faulty_restorer:Faulty\n"
    (about / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "faulty_restorer", raising=False)
    load_plugin.cache_clear()
