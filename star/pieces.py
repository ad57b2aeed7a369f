"""A clip through layers piece by piece, so that what they make in between stays in a processor's cache.

A small network on a processor waits for memory more than it computes: a layer's result over a window of
large pictures is some hundred megabytes, written and read again for every addition. Where a layer treats
each frame by itself, or each position's track of frames, the same numbers come from a piece at a time,
and several layers go over a piece while it is near. A GPU wants the opposite, and so does a gradient.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

__all__ = ["InPieces", "run_whole"]

# A core's second cache holds 1 to 2 MiB. Pieces of 2 to 8 MiB take the same time on two such cores.
_PIECE_BYTES = 4 << 20


class InPieces:
    """A mixin for modules that run layers piece by piece, where `in_pieces` says that this is exact.

    It is not where a norm spans frames or positions, as the published network's do. The results differ
    from those of whole clips by rounding, and not with the number of threads.
    """

    in_pieces: bool = False

    def by_frames(self, work: Callable[..., Tensor], *clips: Tensor) -> Tensor:
        """Return `work` of clips (n, ...), some frames at a time: no frame may matter to another."""
        if not self._cuts(clips[0]):
            return work(*clips)
        frames = len(clips[0])
        count = max(1, _PIECE_BYTES * frames // max(clip.nbytes for clip in clips))
        made: Tensor | None = None
        for start in range(0, frames, count):
            part = work(*(clip[start : start + count] for clip in clips))
            made = _empty((frames, *part.shape[1:]), part) if made is None else made
            made[start : start + count] = part
        assert made is not None  # noqa: S101  # a clip has a frame
        return made

    def by_rows(self, work: Callable[[Tensor], Tensor], clip: Tensor) -> Tensor:
        """Return `work` of a clip (n, c, h, w), of the same shape, some rows of all frames at a time.

        No position may matter to another.
        """
        if not self._cuts(clip):
            return work(clip)
        height = clip.shape[-2]
        count = max(1, _PIECE_BYTES * height // clip.nbytes)
        made = _empty(clip.shape, clip)
        for top in range(0, height, count):
            rows = slice(top, top + count)
            strip = clip[:, :, rows].contiguous(memory_format=torch.channels_last)
            made[:, :, rows] = work(strip)
        return made

    def _cuts(self, clip: Tensor) -> bool:
        on_processor = clip.device.type in ("cpu", "meta")  # on "meta", memory is predicted
        as_it_is = not torch.is_grad_enabled() and not torch.compiler.is_compiling()
        return self.in_pieces and on_processor and as_it_is


def run_whole(network: nn.Module) -> None:
    """Have a network run every layer over the whole clip, as it does on a GPU."""
    for module in network.modules():
        if isinstance(module, InPieces):
            module.in_pieces = False


def _empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.empty(
        shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last
    )
