"""The page that people look at after a run: what a page shows (`view`, `lines`), its words, its pictures, the page."""

from pipeline.report.page import write_report
from pipeline.report.view import RunView

__all__ = ["RunView", "write_report"]
