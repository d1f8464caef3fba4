"""Answers as tests make them or as they were recorded, and the endpoints that read them."""

import json
from pathlib import Path
from typing import Any

from pipeline.endpoints.interface import Answer, Endpoint
from pipeline.endpoints.patsnap.ai39_1 import TaskCreation
from pipeline.endpoints.patsnap.ai39_2 import ReportQuery
from pipeline.endpoints.patsnap.d301 import PatentDetails
from pipeline.endpoints.patsnap.oauth import AccessToken
from pipeline.endpoints.patsnap.p009 import P009Search
from pipeline.endpoints.patsnap.p010 import PictureUpload
from pipeline.errors import CallError
from pipeline.models import Kind
from tests.support.refusals import read_or_error

SAMPLES = Path(__file__).parents[2] / "samples" / "api"
AT = 1_795_262_400.0

SEARCH, CREATE, UPLOAD, QUERY, TOKEN = P009Search(), TaskCreation("en"), PictureUpload(), ReportQuery(), AccessToken()
DETAILS = PatentDetails()
ENDPOINTS: dict[Kind, Endpoint[Any, Any]] = {
    each.kind: each for each in (SEARCH, CREATE, UPLOAD, QUERY, TOKEN, DETAILS)
}


def answer(body: bytes | object, *, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Make an answer of bytes, or of what becomes JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, raw, "request-1", AT, headers or {})


def sample(case: str) -> Answer:
    """Return a recorded answer; its file is named by the status."""
    (file,) = (SAMPLES / case).iterdir()
    return answer(file.read_bytes(), status=int(file.stem))


def outcome_of(kind: Kind, given: Answer) -> Any:
    """Return what an answer to this kind of call is read as, or the error that follows from it."""
    return read_or_error(kind, ENDPOINTS[kind].read, given)


def error_of(kind: Kind, given: Answer) -> CallError:
    """Return the error that follows from an answer; fails when it is read as a value."""
    error = outcome_of(kind, given)
    assert isinstance(error, CallError)
    return error
