"""`restar train`: teach STAR, or the small one, from photographs or from pairs of clips."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.config import TrainConfig

__all__ = ["train"]


def train(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG.toml", help="What to train on what.", show_default=False),
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the folder's checkpoint, exactly.")
    ] = False,
    evaluate: Annotated[
        bool,
        typer.Option(
            "--eval", help="Train nothing: restore the held-out clips (`held`) and measure them."
        ),
    ] = False,
    weights: Annotated[
        Path | None,
        typer.Option(help="With --eval: which weights; else those that the run has made."),
    ] = None,
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
    if evaluate:
        _evaluated(told, weights)
        return
    if weights is not None:
        raise UsageError("--weights belongs to --eval; to begin with weights write model.weights")
    found = (told.folder / CHECKPOINT).exists()
    if found and not resume:
        raise UsageError(
            f"{told.folder}: holds a checkpoint; add --resume to go on from it, or name another folder"
        )
    with progress_shown():
        made = run_training(told, resume=resume)
    typer.echo(made)


def _evaluated(config: "TrainConfig", weights: Path | None) -> None:
    from cli.console import progress_shown
    from cli.evaluate import evaluated, tables, write_rows
    from restar.errors import UsageError
    from training.run import WEIGHTS

    if config.held is None:
        raise UsageError("--eval needs held-out clips: write `held`, a folder, above [model]")
    if config.model.kind != "star-tiny":
        raise UsageError("--eval measures star-tiny; take a published model to `restar restore`")
    with progress_shown():
        rows = list(evaluated(weights or config.folder / WEIGHTS, config.held))
    config.folder.mkdir(parents=True, exist_ok=True)
    write_rows(config.folder / "eval.csv", rows)
    typer.echo(tables(rows))
