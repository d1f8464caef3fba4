"""Forms: the picture in the body of an upload."""

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from pipeline.sandbox.envelope import BAD_FILE, BAD_REQUEST, INVALID_PARAMETER, Refused
from pipeline.sandbox.pictures import detect_type
from pipeline.sandbox.searching import MAX_PICTURE_BYTES

_FIELD = "image"
_CHUNK_BYTES = 64 * 1024
_MOST_PARTS = 100
_MOST_OTHER_BYTES = 2**20


async def read_image(request: web.Request) -> bytes:
    """Read the field `image`, in whatever place. Raises Refused when it is missing, too large, neither JPG nor PNG."""
    if request.content_type != "multipart/form-data":
        raise Refused(INVALID_PARAMETER, "the body must be multipart/form-data with the field image")
    try:
        data = await _field(await request.multipart())
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError):  # what aiohttp's reader raises for a body
        raise Refused(BAD_REQUEST, "the multipart body is broken") from None
    if data is None:
        raise Refused(INVALID_PARAMETER, "the multipart field image is missing")
    if detect_type(data) is None:
        raise Refused(BAD_FILE, "the picture is neither JPG nor PNG")
    return data


async def _field(form: MultipartReader) -> bytes | None:
    """Return the bytes of the picture; None when no part has its name."""
    for _ in range(_MOST_PARTS):
        part = await form.next()
        if part is None:
            return None
        if not isinstance(part, BodyPartReader):
            raise Refused(INVALID_PARAMETER, "a form within the form")
        if part.name == _FIELD:
            return await _content(part, MAX_PICTURE_BYTES, Refused(BAD_FILE, "the picture is larger than 4096 KB"))
        await _content(part, _MOST_OTHER_BYTES, Refused(BAD_REQUEST, "the body is too large"))
    raise Refused(BAD_REQUEST, "the form has too many parts")


async def _content(part: BodyPartReader, most: int, too_large: Refused) -> bytes:
    data = bytearray()
    while chunk := await part.read_chunk(_CHUNK_BYTES):
        data += chunk
        if len(data) > most:
            raise too_large
    return bytes(data)
