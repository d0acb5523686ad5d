"""The HTML report of a design: one self-contained file that shows what was built and how it was proved."""

from .comparison import write_comparison
from .write import ReportResult, write_report

__all__ = ["ReportResult", "write_comparison", "write_report"]
