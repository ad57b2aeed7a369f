"""The words of restar: film, scene, recipe, spec, time, errors. Imports nothing else of ours."""

__all__ = ["__version__"]

__version__ = "0.1.0"
