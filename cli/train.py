"""`restar train`: teach STAR, or the small one, from photographs or from pairs of clips."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["train"]


def train(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG.toml", help="What to train on what.", show_default=False),
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the folder's checkpoint, exactly.")
    ] = False,
) -> None:
    """Train a model as a configuration says; checkpoints, the curve and the weights go to its folder.

    Stop it when you like: `--resume` goes on from the last checkpoint with the losses that an
    uninterrupted run would have had. Two configurations to begin with are in training/configs.
    """
    from cli.console import progress_shown
    from star.installed import require_star

    require_star()
    from restar.errors import UsageError
    from training.config import load_config
    from training.run import CHECKPOINT, run_training

    told = load_config(config)
    found = (told.folder / CHECKPOINT).exists()
    if found and not resume:
        raise UsageError(
            f"{told.folder}: holds a checkpoint; add --resume to go on from it, or name another folder"
        )
    with progress_shown():
        made = run_training(told, resume=resume)
    typer.echo(made)
