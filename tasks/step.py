"""A step is a plain function; inside a Prefect flow the same call runs, and shows, as a task.

So the whole way is one code with the engine and without it. Prefect is not imported here: a flow that
runs has imported it. Retries, results and caching are the catalog's business, and off in the engine.

The work never depends on the engine: where its server is away, a step that could not be shown runs all
the same, and one that has run counts, whatever became of the showing.
"""

import logging
import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["inside_flow", "step"]

_log = logging.getLogger("restar.step")
P = ParamSpec("P")
R = TypeVar("R")


def step(label: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a step; `label` names its runs and may refer to its keyword arguments."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not inside_flow():
                return function(*args, **kwargs)
            from prefect import task
            from prefect.cache_policies import NO_CACHE

            begun, results, errors = [0], list[R](), list[BaseException]()

            def noted() -> None:
                begun[0] += 1
                try:
                    results.append(function(*args, **kwargs))
                except BaseException as error:
                    errors.append(error)
                    raise

            shown = task(
                name=function.__name__,
                task_run_name=label.format(**kwargs),
                cache_policy=NO_CACHE,
                persist_result=False,
            )
            try:
                shown(noted)()
            except Exception as error:
                if errors:
                    raise errors[0] from None
                _log.warning("%s is not shown by the engine: %s", function.__name__, error)
            if not begun[0]:
                return function(*args, **kwargs)
            return results[0]

        return call

    return decorate


def inside_flow() -> bool:
    """Whether a flow of the engine is running here."""
    context = sys.modules.get("prefect.context")
    return context is not None and context.FlowRunContext.get() is not None
