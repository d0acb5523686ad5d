"""The HTML report of a design: one self-contained file that shows what was built and how it was proved."""

from .write import ReportResult, write_report

__all__ = ["ReportResult", "write_report"]
