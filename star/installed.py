"""Whether the libraries that STAR needs are here; asked before anything heavy is imported."""

from importlib.util import find_spec

from restar.errors import PluginError

__all__ = ["require_star"]

_NEEDED = ("torch", "diffusers", "transformers", "safetensors", "einops", "torchsde", "ftfy")


def require_star() -> None:
    """Raise PluginError, with the command that mends it, unless STAR's libraries are installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise PluginError(
            f"STAR needs {', '.join(missing)}, not installed here; pip install 'restar[star]'"
        )
