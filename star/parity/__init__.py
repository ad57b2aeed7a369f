"""Proof that this package computes what the published network computes, on a folder of recorded numbers.

A folder holds fixtures, inputs and outputs recorded from the published code, and says in its
`*_info.json` how they were made. Everything that it contains is run with the very classes that restore
films; what it contains and is not known here is a failure, what it does not contain is not. Nothing is
known beforehand but the layout: seeds, widths, shapes, plans, nets and prompts come from the folder.
"""

from star.parity.record import Result
from star.parity.run import run_parity

__all__ = ["Result", "run_parity"]
