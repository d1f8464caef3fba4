"""Forms as any client may write them: the picture's field in any place, and bodies that are broken."""

import io

import pytest

from tests.support.fixtures import Start
from tests.support.sandbox_calls import KEY, UPLOAD, Reply, call

pytestmark = pytest.mark.anyio


async def post(start: Start, *parts: bytes, end: bytes = b"--b--\r\n") -> Reply:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end
    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=b"}
    return await call(start(), "POST", UPLOAD, data=io.BytesIO(body), headers=headers)


def part(name: str, data: bytes, *, more: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="%s"\r\n%s\r\n%s' % (name.encode(), more, data)


async def test_the_picture_may_come_after_other_fields(start: Start, product: bytes) -> None:
    reply = await post(start, part("expire", b"32400"), part("note", b"x" * 100_000), part("image", product))
    assert reply.code == 0


async def test_a_form_without_a_picture_says_what_is_missing(start: Start) -> None:
    reply = await post(start, part("expire", b"32400"))
    assert (reply.code, "image is missing" in reply.envelope["error_msg"]) == (68300004, True)


@pytest.mark.parametrize(
    "header",
    [b"X-Note: a\x00b\r\n", b"X-Note: a\x0bb\r\n", b"X\x01: a\r\n", b"no colon\r\n", b"X: " + b"a" * 9000 + b"\r\n"],
    ids=["nul", "vertical tab", "in the name", "no colon", "too long"],
)
async def test_a_header_that_cannot_be_read_is_refused(header: bytes, start: Start, product: bytes) -> None:
    reply = await post(start, part("image", product, more=header))
    assert (reply.status, reply.code) in ((200, 68300007), (200, 68300010))


@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable", b"rot13"])
async def test_an_unknown_or_wrong_encoding_is_refused(encoding: bytes, start: Start) -> None:
    reply = await post(start, part("image", b"%%%", more=b"Content-Transfer-Encoding: " + encoding + b"\r\n"))
    assert (reply.status, reply.code in (68300004, 68300007, 68300010)) == (200, True)


async def test_a_form_in_the_form_is_refused(start: Start) -> None:
    inner = b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n"
    assert (await post(start, inner)).code == 68300004


async def test_other_fields_may_not_fill_the_memory(start: Start) -> None:
    assert (await post(start, part("note", b"x" * (2**20 + 1)))).code == 68300007


async def test_a_form_that_breaks_off_is_refused(start: Start, product: bytes) -> None:
    assert (await post(start, part("note", b"x"), end=b"--b\r\nContent-Disp")).code in (68300004, 68300007)
