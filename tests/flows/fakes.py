"""What tests put into a process of restar: a slow restorer, and faults at chosen moments.

`install(script)` is called in the process before the command runs. A script is plain data:

    stall       {"at": POINT, "flag": PATH, "gate": PATH}: touch the flag at POINT (the second time
                where "skip" is 1, ...) and wait there as long as the gate exists
    fault       {"at": "fsync", "errno": 28, "skip": 3}: a write to disk fails
    clock       seconds that this host's wall clock is wrong by
    place       another place: processes of this host don't know that this one is dead
    hang        the first frame of a scene whose model never comes back, and hears no signal
    log         PATH: a line for each scene that a restorer begins
"""

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av

import restorers
from media.format import VideoFormat
from restar.errors import NotFiniteError
from restar.needs import Needs
from restar.spec import ResolvedStep
from restorers import StepContext
from restorers.identity import Identity

__all__ = ["Slow", "install"]

POINTS: dict[str, Callable[[], tuple[Any, str]]] = {}


class Slow(Identity):
    """Identity that takes its time: `seconds` a scene, with a model, memory and faults if asked."""

    name = "slow"
    loaded = 0

    def resolve(self, options: dict[str, Any], source: VideoFormat) -> ResolvedStep:
        Identity.resolve(self, {}, source)
        return ResolvedStep(self.name, 1, {"seconds": 0.0, "model": "", "fails": "", **options})

    def needs(self, step: ResolvedStep, source: VideoFormat) -> Needs:
        options = step.options
        gpu, memory = str(options.get("gpu", "")), int(options.get("memory", 0))
        return Needs(str(options["model"]), memory, gpu)

    def restore(
        self, frames: Iterator[av.VideoFrame], context: StepContext
    ) -> Iterator[av.VideoFrame]:
        options = context.step.options
        _begun(context)
        if options["fails"]:
            _fail(str(options["fails"]))
        each = float(options["seconds"]) / context.frames.count
        for number, frame in enumerate(Identity.restore(self, frames, context)):
            if each:
                time.sleep(each)
            if number == context.frames.count // 2:
                _middle(context)
            yield frame


def _begun(context: StepContext) -> None:
    """A point: a scene is begun."""


def _middle(context: StepContext) -> None:
    """A point: half of a scene's frames are done."""


def _fail(how: str) -> None:
    if how == "memory":
        raise MemoryError("out of memory: 80 GiB wanted")
    if how == "nan":
        raise NotFiniteError("the model gave NaN")
    raise ZeroDivisionError(how)


def plug_in(load: Callable[..., Any]) -> Callable[..., Any]:
    """Return `load_plugin` that knows the slow restorer too."""
    return lambda family, name: Slow if name == "slow" else load(family, name)


def install(script: dict[str, Any]) -> None:
    """Put what a script asks for into this process."""
    restorers.load_plugin = plug_in(restorers.load_plugin)  # type: ignore[attr-defined, assignment]
    if "log" in script:
        _after(_owner("begun"), lambda context: _note(script["log"], context))
    if "stall" in script:
        stall = script["stall"]
        skip = [int(stall.get("skip", 0))]
        scene = stall.get("scene")

        def wait(*arguments: Any, **_keywords: Any) -> None:
            if scene is not None and arguments[0].frames.start != scene:
                return
            skip[0] -= 1
            if skip[0] != -1:
                return
            Path(stall["flag"]).touch()
            while Path(stall["gate"]).exists():
                time.sleep(0.02)

        _after(_owner(stall["at"]), wait)
    if "fault" in script:
        _break(script["fault"])
    if "hang" in script:
        _after(_owner("middle"), lambda context: _hang(script["hang"], context))
    if "clock" in script:
        shift, real = float(script["clock"]), time.time
        time.time = lambda: real() + shift
    if "place" in script:
        import tasks.house

        tasks.house.place = lambda: str(script["place"])


def _owner(point: str) -> tuple[Any, str]:
    """Where a point is: a module or class, and the function after which it comes."""
    import flows.drain
    import flows.finish
    import flows.prepare
    import flows.tend
    import flows.wants
    import store
    import tasks.assemble
    import tasks.ingest
    from tests.flows import fakes

    return {
        "begun": (fakes, "_begun"),
        "middle": (fakes, "_middle"),
        "indexed": (tasks.ingest, "_one_pass"),
        "opened": (flows.prepare, "open_restoration"),
        "half wanted": (flows.wants, "want_scene"),
        "published": (store.Store, "publish"),
        "committing": (flows.drain, "commit_take"),
        "master written": (tasks.assemble, "write_master"),
        "master placed": (tasks.assemble, "replace"),
        "master recorded": (flows.finish, "_record"),
        "taken back": (flows.tend, "requeue_expired"),
        "held back": (flows.tend, "hold_back"),
    }[point]


def _after(where: tuple[Any, str], act: Callable[..., None]) -> None:
    owner, name = where
    original = getattr(owner, name)

    def both(*arguments: Any, **keywords: Any) -> Any:
        result = original(*arguments, **keywords)
        act(*arguments, **keywords)
        return result

    setattr(owner, name, both)


def _hang(scene: int, context: StepContext) -> None:
    """Hang as a thread does that is inside a long call: no signal's handler runs in it."""
    if context.frames.start == scene:
        print("hangs", flush=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
        while True:
            time.sleep(60)


def _note(path: str, context: StepContext) -> None:
    with Path(path).open("a") as file:
        file.write(f"{context.frames.start}\n")


def _break(fault: dict[str, Any]) -> None:
    """Let the disk refuse: the fsync number `skip` of this process, and all after it."""
    import store

    skip, original = [int(fault["skip"])], store.fsync

    def fsync(path: Path) -> None:
        skip[0] -= 1
        if skip[0] < 0:
            raise OSError(fault["errno"], os.strerror(fault["errno"]), str(path))
        original(path)

    assert fault["errno"] in (errno.ENOSPC, errno.EIO)
    store.fsync = fsync
