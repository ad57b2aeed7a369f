"""Writers that are entered: what they write is finished where the block ends well, and only there."""

from types import TracebackType
from typing import Self

__all__ = ["Staged"]


class Staged:
    """A file that is being written inside a `with` block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(well=kind is None)

    def _end(self, *, well: bool) -> None:
        """Close everything; if the block did not end well, leave nothing that looks finished."""
        raise NotImplementedError
