"""The upload of a local picture."""

import email.parser
import email.policy
import random

import pytest

from pipeline.errors import (
    TryAgain,
)
from pipeline.models import UPLOAD_LIFE_S, Kind
from pipeline.sources.pictures import Picture
from tests.support.answers import (
    AT,
    UPLOAD,
    answer,
    error_of,
    sample,
)


def test_an_upload_lives_as_long_as_the_vendor_says_and_never_longer_than_agreed() -> None:
    recorded = UPLOAD.read(sample("upload_ok"))
    assert recorded.url.startswith("https://sandbox.invalid/upload/")
    assert recorded.expires_at == AT + 32_400
    body = {"data": {"url": "https://a.example/1", "expire": 60}, "status": True}
    assert UPLOAD.read(answer(body)).expires_at == AT + 60
    body["data"] = {"url": "https://a.example/1", "expire": 10**9}
    assert UPLOAD.read(answer(body)).expires_at == AT + UPLOAD_LIFE_S


@pytest.mark.parametrize("url", [None, 7, "", "ftp://a.example/1", "javascript:alert(1)", "https://a.example/\n1"])
def test_an_upload_without_a_usable_url_is_tried_again(url: object) -> None:
    error = error_of(Kind.UPLOAD, answer({"data": {"url": url}, "status": True}))
    assert (type(error), error.attempts) == (TryAgain, 2)


@pytest.mark.parametrize(("file_type", "file_name"), [("jpeg", "picture.jpg"), ("png", "picture.png")])
def test_an_upload_is_one_multipart_field_that_a_real_parser_reads(file_type: str, file_name: str) -> None:
    picture = random.Random(1).randbytes(10_000) + b"\r\n--picture-\r\n"
    request = UPLOAD.request(Picture(picture, file_type, ""))
    head = f"Content-Type: {request.content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + (request.body or b""))
    assert not message.defects
    (part,) = message.iter_parts()
    assert part.get_param("name", header="content-disposition") == "image"
    assert (part.get_filename(), part.get_content_type()) == (file_name, f"image/{file_type}")
    assert part.get_payload(decode=True) == picture


def test_the_same_picture_makes_the_same_upload_request() -> None:
    picture = Picture(b"picture", "png", "")
    assert UPLOAD.request(picture) == UPLOAD.request(picture)
