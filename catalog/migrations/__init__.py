"""The catalog's migrations, run by `catalog.engine`; `python -m catalog.migrations` writes one."""
