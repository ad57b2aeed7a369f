"""`auto`: the best captioner that is present, so that a recipe need not know what is installed.

A model of the table whose files are here, where a step of the recipe listens to text at all and torch is
installed; else the measured facts. Which it was is in the revision of every caption that it gives.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from captioners.models import present_models

__all__ = ["best_captioner"]


def best_captioner(weights: Path | None, listened_to: bool) -> tuple[str, dict[str, Any], str]:
    """Return the name and options of the best captioner that is present, and why it is that one."""
    if not listened_to:
        return "facts", {}, "no step of this recipe listens to text"
    if find_spec("torch") is None or find_spec("transformers") is None:
        return "facts", {}, "torch and transformers are not installed (pip install 'restar[star]')"
    for model in present_models(weights):
        needs = model.note.removeprefix("needs the package ")
        if needs != model.note and find_spec(needs) is None:
            continue
        if not model.commercial_use:  # somebody has to choose such a licence
            continue
        return "transformers", {"model": model.name}, f"{model.name} is here ({model.licence})"
    return "facts", {}, f"no captioning model is in {weights or 'the folder of weights'}"
