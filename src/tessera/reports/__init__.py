"""Reports: what a head is worth, on one page of HTML that needs no network."""

from .asked import ReportedHead
from .report import check_report, write_report
from .values import years_text

__all__ = ["ReportedHead", "check_report", "write_report", "years_text"]
