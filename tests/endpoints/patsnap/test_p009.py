"""The request of P009."""

import pytest
from yarl import URL

from pipeline.endpoints.patsnap.p009 import P009Filters, P009Search
from pipeline.models import Kind

EVERY = P009Search(
    limit=100,
    filters=P009Filters(
        loc="(01-01 OR 01-02)",
        assignees="Émile & Söhne + 50%",
        legal_status="1,3,222",
        apply_start_time="20200101",
        apply_end_time="20201231",
        public_start_time="20200101",
        public_end_time="20211231",
        offset=1000,
        field="APD",
        order="asc",
    ),
)
ODD_URLS = [
    "https://a.example/1.jpg?x=1&y=2",
    "https://a.example/a+b%20c.jpg",
    "https://a.example/100%25.jpg?sig=a%2Bb%3D",
    "https://a.example/手提包/Sac à main.jpg",
    "https://a.example/?q='\"<>#fragment;,|^`{}\\~",
    "https://user:pass@a.example:8443/1.jpg",
    "https://a.example/%zz%",
]


@pytest.mark.parametrize("url", ODD_URLS)
def test_a_p009_request_survives_the_quoting_whatever_the_picture_url(url: str) -> None:
    request = EVERY.request(url)
    built = URL("https://connect.patsnap.com").with_path(request.path).with_query(list(request.query))
    assert built.raw_path == "/image-search/search"
    again = list(URL(str(built), encoded=True).query.items())
    assert again == [("url", url), *((key, str(value)) for key, value in EVERY.params.items())]
    assert len(again) == 12
    assert (request.method, request.body, request.kind) == ("GET", None, Kind.SEARCH)
