"""The calls that the vendor bills, by its own names: the words of a job's `prices`, and of a statement of account.

Paths are what a statement counts by (`request_path`). The names are those of the vendor's pages; where it has one name
for several paths, ours tell them apart.
"""

from types import MappingProxyType

from pipeline.endpoints.patsnap import d301, p014

PATHS = MappingProxyType(
    {
        "P009": "/image-search/search",
        "P009-V2": "/image-search/search-id",
        "P009-V2-results": "/image-search/results",
        "P010": "/image-search/image-upload",
        "P060": "/search/patent/image-single",
        "P060-beta": "/search/patent/image-single/beta",
        "P061": "/search/patent/image-multiple",
        "AI39-1": "/ai/infringement-detection-creation",
        "AI39-2": "/ai/infringement-detection-query",
        "AI39-submit": "/ai/image-search/submit",
        "AI39-report": "/ai/image-search/report",
        d301.NAME: d301.PATH,
        p014.NAME: p014.PATH,
    }
)
PER_PATENT = frozenset({d301.NAME, p014.NAME})  # billed for each patent that is found, not for the call
_NAMES = MappingProxyType({path: name for name, path in PATHS.items()})


def name_of_path(path: str) -> str:
    """Return the vendor's name of the endpoint at a path; the path itself for one that nobody named."""
    return _NAMES.get(path, path)
