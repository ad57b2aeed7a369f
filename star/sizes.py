"""The one set of numbers from which the UNet and the ControlNet are built, checked before they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from restar.errors import CheckpointError
from star.liem import POSITIONS, Position

__all__ = ["Sizes"]

_LARGEST, _MOST_LEVELS, _MOST_LAYERS = 16_384, 8, 16
_OTHERS = ("multipliers", "attention_levels", "dropout", "liem_position", "pooled_heads")


@dataclass(frozen=True)
class Sizes:
    """The numbers of a network; the defaults are the published one's.

    `base_channels` is the width after the first convolution, `multipliers` the widths of the levels
    in multiples of it, `attention_levels` how many of the finest levels have transformers (the middle
    always has), `first_heads` the heads of the very first temporal transformer. Widths are multiples
    of `groups`. `pooled_heads` are those by which the text, as one vector, joins the time at every
    level; 0, as published: it is heard in the transformers alone.
    """

    in_channels: int = 4
    out_channels: int = 4
    hint_channels: int = 4
    base_channels: int = 320
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    layers_per_level: int = 2
    attention_levels: int = 3
    head_dim: int = 64
    first_heads: int = 8
    text_dim: int = 1024
    groups: int = 32
    dropout: float = 0.1
    liem_position: Position = "before_norm"
    pooled_heads: int = 0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Sizes":
        """Return the sizes in a configuration, of which other keys are left alone.

        Raises CheckpointError for numbers that make no network.
        """
        known = {key: value for key, value in config.items() if key in cls.__dataclass_fields__}
        if isinstance(known.get("multipliers"), list):
            known["multipliers"] = tuple(known["multipliers"])
        sizes = cls(**known)
        sizes.check()
        return sizes

    @property
    def widths(self) -> tuple[int, ...]:
        """The channels of each level, finest first."""
        return tuple(self.base_channels * factor for factor in self.multipliers)

    @property
    def time_dim(self) -> int:
        return 4 * self.base_channels

    def check(self) -> None:
        """Raise CheckpointError for numbers that make no network."""
        if (
            not isinstance(self.multipliers, tuple)
            or not 1 <= len(self.multipliers) <= _MOST_LEVELS
        ):
            raise _wrong(
                f"multipliers {self.multipliers!r}", f"a list of 1 to {_MOST_LEVELS} numbers"
            )
        counts = {key: value for key, value in vars(self).items() if key not in _OTHERS}
        counts |= {f"multipliers[{n}]": factor for n, factor in enumerate(self.multipliers)}
        for key, value in counts.items():
            if type(value) is not int or not 0 < value <= _LARGEST:
                raise _wrong(f"{key} {value!r}", f"a whole number from 1 to {_LARGEST}")
        if type(self.attention_levels) is not int or self.attention_levels < 0:
            raise _wrong(f"attention_levels {self.attention_levels!r}", "0 or more")
        if type(self.pooled_heads) is not int or not 0 <= self.pooled_heads <= self.text_dim:
            raise _wrong(f"pooled_heads {self.pooled_heads!r}", "0 to text_dim")
        if self.pooled_heads and self.text_dim % self.pooled_heads:
            raise _wrong(
                f"a text_dim of {self.text_dim} in {self.pooled_heads} pooled_heads", "a divisor"
            )
        if self.layers_per_level > _MOST_LAYERS:
            raise _wrong(f"layers_per_level {self.layers_per_level}", f"at most {_MOST_LAYERS}")
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise _wrong(f"dropout {self.dropout!r}", "0 to under 1")
        if self.liem_position not in POSITIONS:
            raise _wrong(f"liem_position {self.liem_position!r}", f"one of {', '.join(POSITIONS)}")
        bad = next((w for w in (self.base_channels, *self.widths) if w % self.groups), None)
        if bad is not None:
            raise _wrong(
                f"a width of {bad} in {self.groups} groups", "widths that are its multiples"
            )
        attending = (*self.widths[: self.attention_levels], self.widths[-1])
        if min(attending) < self.head_dim:
            raise _wrong(
                f"heads of {self.head_dim} in a width of {min(attending)}", "a smaller head_dim"
            )


def _wrong(what: str, choose: str) -> CheckpointError:
    return CheckpointError(f"model configuration: {what} makes no network; choose {choose}")
