"""Fixed: the same caption for every scene, as the recipe says it; none is a caption too.

It looks at nothing, so a film can be restored with a prompt of one's own, or without any, and tests
need no model.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from captioners import Caption
from restar.errors import RecipeError
from restar.hashing import sha256_of
from restar.recipe import explain

__all__ = ["Fixed", "Options"]


class Options(BaseModel):
    """The options of the captioner `fixed`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field(default="", max_length=10_000, description="The caption of every scene.")


class Fixed:
    """Captions every scene with `text`."""

    name = "fixed"

    def revision(self, options: dict[str, Any]) -> str:
        """Return the code's version and a hash of the text; raise RecipeError for wrong options."""
        return f"fixed-1-{sha256_of(_checked(options).text)[:16]}"

    def stills(self, options: dict[str, Any]) -> int:
        """Return 0: it looks at nothing."""
        _checked(options)
        return 0

    def caption(self, stills: Sequence[NDArray[np.uint8]], options: dict[str, Any]) -> Caption:
        """Return the text, whatever the stills show."""
        return Caption(_checked(options).text, self.revision(options), "fixed")


def _checked(options: dict[str, Any]) -> Options:
    try:
        return Options.model_validate(options)
    except ValidationError as error:
        raise RecipeError(f"captioner fixed: {explain(error, Options)}") from None
