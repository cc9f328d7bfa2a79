"""Reports: what a head is worth, on one page of HTML that needs no network."""

from .asked import ReportedHead
from .report import check_report, write_report

__all__ = ["ReportedHead", "check_report", "write_report"]
