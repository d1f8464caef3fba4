"""The request of P060."""

import json

from pipeline.endpoints.patsnap.p060 import P060Filters, P060Search


def test_a_p060_request_is_a_json_body_with_typed_values() -> None:
    url = "https://a.example/手提包/Sac à main.jpg"
    filters = P060Filters(country=["US", "EU"], return_img_id=True)
    request = P060Search(endpoint="P060", limit=10, filters=filters).request(url)
    assert (request.method, request.path, request.query) == ("POST", "/search/patent/image-single", ())
    assert request.content_type == "application/json"
    params = {"limit": 10, "country": ["US", "EU"], "return_img_id": True, "model": 1, "patent_type": "D"}
    assert json.loads(request.body or b"") == {"url": url, **params}
