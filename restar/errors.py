"""Every error that restar raises on purpose, in one tree, so that a caller can catch what it means.

    RestarError                 exit status 1: the work could not be done
    +-- UsageError              2: the command line or an argument makes no sense
    |   +-- RecipeError         2: a recipe, or a setting of a step, is not valid
    |   +-- OutdatedError       2: somebody decided otherwise since the caller looked
    +-- MediaError              3: a film can't be read, or can't be carried without loss
    |   +-- DamagedMediaError   3: a film ends early or holds frames that don't decode
    |   +-- NoSourceError       3: a film's file is not where it was, perhaps on this host only
    +-- VerificationError       4: a finished file is not what it has to be
    +-- StoreError              5: a file can't be kept: no space, no permission, altered on disk
    +-- CatalogError            6: the database is missing, locked, or of another version
    |   +-- LeaseLost           6: a job was taken over by another agent; its result is dropped
    +-- CheckpointError         7: model weights are missing, damaged or not what they claim
    +-- PluginError             8: a restorer, captioner or scorer is unknown or can't run here
    +-- EngineError             9: the flow engine did not start
    +-- IncompleteError        10: the run ended with scenes that failed; the rest is kept
    +-- NotFiniteError         11: a model gave numbers that are not finite (NaN, infinity)
    +-- UnfitError             12: an agent stopped, since one job after another failed on it

A message says what is wrong, where, and what to do; `cli` prints it as one line and leaves with
`exit_status`. The statuses are part of the command's contract (docs/cli.md).
"""

__all__ = [
    "CatalogError",
    "CheckpointError",
    "DamagedMediaError",
    "EngineError",
    "IncompleteError",
    "LeaseLost",
    "MediaError",
    "NoSourceError",
    "NotFiniteError",
    "OutdatedError",
    "PluginError",
    "RecipeError",
    "RestarError",
    "StoreError",
    "UnfitError",
    "UsageError",
    "VerificationError",
]


class RestarError(Exception):
    """Base of every error that restar raises on purpose."""

    exit_status = 1


class UsageError(RestarError):
    """The command line, or an argument of a function, makes no sense."""

    exit_status = 2


class RecipeError(UsageError):
    """A recipe, or a setting of one of its steps, is not valid."""


class OutdatedError(UsageError):
    """A decision rests on what is no longer so: somebody decided otherwise in the meantime."""


class MediaError(RestarError):
    """A film can't be read, or something in it can't be carried without loss."""

    exit_status = 3


class DamagedMediaError(MediaError):
    """A film ends early, or holds frames that don't decode."""


class NoSourceError(MediaError):
    """A film's file is not where it was; another host may still reach it."""


class VerificationError(RestarError):
    """A finished file is not what it has to be; it was not published."""

    exit_status = 4


class StoreError(RestarError):
    """A file can't be kept or found: no space, no permission, altered on disk."""

    exit_status = 5


class CatalogError(RestarError):
    """The catalog is missing, locked, or of another version than this program."""

    exit_status = 6


class LeaseLost(CatalogError):
    """A job was taken over by another agent while this one worked; its result is dropped."""


class CheckpointError(RestarError):
    """Model weights are missing, damaged, or not what they claim to be."""

    exit_status = 7


class PluginError(RestarError):
    """A restorer, captioner or scorer is unknown, or can't run in this installation."""

    exit_status = 8


class EngineError(RestarError):
    """The flow engine did not start; the same work can run with `--plain`."""

    exit_status = 9


class IncompleteError(RestarError):
    """The run ended with failed scenes; every finished take is kept."""

    exit_status = 10


class NotFiniteError(RestarError):
    """A model gave numbers that are not finite (NaN, infinity): there is no picture in them."""

    exit_status = 11


class UnfitError(RestarError):
    """An agent stopped, since one job after another failed on it: its host has to be looked at."""

    exit_status = 12
