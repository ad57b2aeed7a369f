"""Classifier-free guidance: away from the negative prompt, towards the prompt.

Ho and Salimans, arXiv 2207.12598; the rescaling against over-exposure is Lin and others, arXiv
2305.08891, section 3.4.
"""

from torch import Tensor

__all__ = ["guide"]


def guide(positive: Tensor, negative: Tensor, scale: float, rescale: float | None = None) -> Tensor:
    """Return the guided prediction for two predictions of (b, ...).

    With `rescale` (0 to 1) the result is mixed, in that part, with itself brought to the standard
    deviation of `positive`, taken over each whole clip.
    """
    guided = negative + scale * (positive - negative)
    if not rescale:
        return guided
    shape = (-1,) + (1,) * (guided.ndim - 1)
    wanted, found = positive.flatten(1).std(1), guided.flatten(1).std(1)
    ratio = (wanted / (found + 1e-12)).view(shape)
    return guided * (rescale * ratio + (1 - rescale))
