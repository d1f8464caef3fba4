"""A bucket on loopback: as much of S3 as a store of leases asks. It may lose answers to what it has done."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Bucket:
    """What the bucket holds, and what happens to answers. `lose(method)` is asked before each answer."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.lock = threading.Lock()
        self.lose: Callable[[str], bool] = lambda _: False
        self.refuse_with = 0  # a status for everything
        self.asked: list[str] = []
        self.address = ""

    def environment(self) -> dict[str, str]:
        """Return the variables by which the library finds it."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "of-a-test",
            "AWS_SECRET_ACCESS_KEY": "never-shown",
        }


@contextmanager
def bucket(host: str = "127.0.0.1") -> Iterator[Bucket]:
    """Serve a bucket while the block lasts."""
    held = Bucket()
    server = ThreadingHTTPServer((host, 0), type("Handler", (_Handler,), {"bucket": held}))
    held.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.bucket.asked.append(self.command)
        if self.bucket.lose(self.command):
            self.close_connection = True
            self.connection.close()
            return
        self.send_response(self.bucket.refuse_with or status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.bucket.lock:
            taken = self._key() in self.bucket.objects and self.headers.get("If-None-Match") == "*"
            if not taken and not self.bucket.refuse_with:
                self.bucket.objects[self._key()] = body
        self._answer(412 if taken else 200, ETag='"x"')

    def do_DELETE(self) -> None:
        with self.bucket.lock:
            self.bucket.objects.pop(self._key(), None)
        self._answer(204)

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self._list(query)
            return
        body = self.bucket.objects.get(self._key())
        if body is None:
            self._answer(404)
            return
        self._answer(200, body, ETag='"x"', Last_Modified="Fri, 27 Nov 2026 00:00:00 GMT")

    def _list(self, query: dict[str, list[str]]) -> None:
        """List two objects a page, so that pages are followed."""
        prefix, after = query.get("prefix", [""])[0], query.get("continuation-token", [""])[0]
        with self.bucket.lock:
            keys = sorted(key for key in self.bucket.objects if key.startswith(prefix) and key > after)
        page = keys[:2]
        more = len(keys) > len(page)
        items = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>1</Size><ETag>x</ETag>"
            "<LastModified>2026-11-27T00:00:00.000Z</LastModified></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        body = f"<ListBucketResult><IsTruncated>{str(more).lower()}</IsTruncated>{items}{token}</ListBucketResult>"
        self._answer(200, body.encode())

    def do_POST(self) -> None:
        """Delete the objects of a list, as the library does even for one."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keys = [part.partition("</Key>")[0] for part in body.split("<Key>")[1:]]
        with self.bucket.lock:
            for key in keys:
                self.bucket.objects.pop(unquote(key), None)
        told = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{told}</DeleteResult>".encode())
