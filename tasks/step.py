"""A step is a plain function; inside a Prefect flow the same call runs, and shows, as a task.

So the whole way is one code with the engine and without it. Prefect is not imported here: a flow that
runs has imported it. Retries, results and caching are the catalog's business, and off in the engine.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["step"]

P = ParamSpec("P")
R = TypeVar("R")


def step(label: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a step; `label` names its runs and may refer to its keyword arguments."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _inside_flow():
                return function(*args, **kwargs)
            from prefect import task
            from prefect.cache_policies import NO_CACHE

            run = task(
                name=function.__name__,
                task_run_name=label.format(**kwargs),
                cache_policy=NO_CACHE,
                persist_result=False,
            )
            return run(lambda: function(*args, **kwargs))()

        return call

    return decorate


def _inside_flow() -> bool:
    context = sys.modules.get("prefect.context")
    return context is not None and context.FlowRunContext.get() is not None
