"""Screen product pictures against design patents, a whole portfolio at a time."""

__version__ = "0.1.0"
