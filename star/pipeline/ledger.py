"""How much memory a network's pass takes, by running it without numbers and counting what is alive.

On the device "meta" every operation gives a tensor of the right shape without memory, so the books of a
pass can be kept for any size, in a second. What a kernel borrows for itself is not seen, but for what
convolutions of the processor do: they work on copies of what comes in and goes out, in an order of
channels that suits them.
"""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["peak_bytes"]


def peak_bytes(run: Callable[[], object], on_processor: bool = True) -> int:
    """Return the most bytes of tensors that `run`, on tensors of the device "meta", has alive at once."""
    ledger = _Ledger(on_processor)
    with torch.inference_mode(), _FusedAttention(), ledger:
        kept = run()
    del kept
    return ledger.peak


_ATEN = torch.ops.aten
_CONVOLUTIONS = (_ATEN.convolution.default, _ATEN.conv2d.default, _ATEN.conv3d.default)


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of every storage from when it is made until it is let go."""

    def __init__(self, on_processor: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.on_processor = on_processor
        self.alive = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        fresh = sum(self._note(one) for one in tree_leaves(made) if isinstance(one, Tensor))
        borrowed = 0
        if self.on_processor and func in _CONVOLUTIONS:
            borrowed = fresh + args[0].nbytes
        self.peak = max(self.peak, self.alive + borrowed)
        return made

    def _note(self, tensor: Tensor) -> int:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return 0
        self._known.add(key)
        size = storage.nbytes()
        self.alive += size
        weakref.finalize(storage, self._forget, key, size)
        return size

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.alive -= size


class _FusedAttention(TorchFunctionMode):
    """Attention as the fused kernels do it, which never hold the whole matrix."""

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func is not F.scaled_dot_product_attention:
            return func(*args, **given)
        query, _key, value = (*args, *(given[k] for k in ("query", "key", "value")[len(args) :]))[
            :3
        ]
        return query.new_empty((*query.shape[:-1], value.shape[-1]))
