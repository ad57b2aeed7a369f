"""The review room: pages over the catalog and the store where people look, compare and decide.

It reads, and it writes people's decisions by functions of the catalog; no model runs here and neither
torch nor Prefect is imported. `restar review` serves it on this machine only (docs/review.md).
"""

__all__: list[str] = []
