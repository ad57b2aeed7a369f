"""STAR as a restorer: films in, films out; the model and its pipeline are in the package `star`.

Importing this needs no torch: a queue can be looked at, and a recipe checked, without it.
"""

from restorers.star.options import Options
from restorers.star.restorer import Star

__all__ = ["Options", "Star"]
