"""P010: make a local picture reachable at a public URL."""

import hashlib

from pipeline.endpoints.interface import Answer, PictureFile, Refusal, Request
from pipeline.endpoints.patsnap.envelope import number_in, read_data
from pipeline.models import UPLOAD_LIFE_S, Kind, Upload


class PictureUpload:
    """The endpoint that takes a local picture. The file's own name stays with us."""

    kind = Kind.UPLOAD

    def request(self, asked: PictureFile) -> Request:
        """Send a picture as the one field of a form."""
        boundary = "picture-" + hashlib.sha256(asked.data).hexdigest()[:32]
        suffix = "jpg" if asked.file_type == "jpeg" else "png"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="picture.{suffix}"\r\n'
            f"Content-Type: image/{asked.file_type}\r\n\r\n"
        )
        body = head.encode() + asked.data + f"\r\n--{boundary}--\r\n".encode()
        content_type = f"multipart/form-data; boundary={boundary}"
        return Request(Kind.UPLOAD, "POST", "/image-search/image-upload", body=body, content_type=content_type)

    def read(self, answer: Answer) -> Upload:
        """Read the public URL; it lives as long as the vendor says, and never longer than agreed. Raises Refusal."""
        data, _ = read_data(Kind.UPLOAD, answer)
        url = data.get("url") if isinstance(data, dict) else None
        if not isinstance(url, str) or not url.isprintable() or not url.startswith(("https://", "http://")):
            raise Refusal("no_data", detail="no url in the answer")
        assert isinstance(data, dict)
        named_s = number_in(data.get("expire"))
        return Upload(url, answer.at + min(named_s or UPLOAD_LIFE_S, UPLOAD_LIFE_S))
