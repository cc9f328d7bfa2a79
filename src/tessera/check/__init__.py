"""Verify a store cell by cell, and repair what is broken."""

from .check import check_store
from .repair import repair_store
from .report import Problem, Repair, Report, Tally

__all__ = [
    "Problem",
    "Repair",
    "Report",
    "Tally",
    "check_store",
    "repair_store",
]
