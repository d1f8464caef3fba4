"""The job file: its schema (`model`, `filters`), its text (`document`) and the way from one to the other (`load`)."""

from pipeline.spec.load import load_job
from pipeline.spec.model import JobSpec

__all__ = ["JobSpec", "load_job"]
