"""Several views of one product as one picture: its views are written in one text wherever a picture is named.

The text of the views `a.jpg` and `b.jpg` is `views: a.jpg | b.jpg`. So are the URLs of their uploads written, and their
digests; what compares pictures by such texts needs to know nothing of views.
"""

from collections.abc import Iterable

LEAST, MOST = 2, 4  # views that the vendor takes of one product
MARK = "views: "  # begins the text of several views
_BETWEEN = " | "


def joined_views(views: Iterable[str]) -> str:
    """Write views as one text, or what each of them has: its URL, its digest. A single one is written as it is."""
    listed = tuple(views)
    return listed[0] if len(listed) == 1 else MARK + _BETWEEN.join(listed)


def has_views(text: str) -> bool:
    """Return whether a text names several views."""
    return text.startswith(MARK)


def views_of(text: str) -> tuple[str, ...]:
    """Return the views that a text names, in their order; a picture without views is its only one."""
    return tuple(text.removeprefix(MARK).split(_BETWEEN)) if has_views(text) else (text,)


def distinct_views(text: str) -> tuple[str, ...]:
    """Return the views that a text names, equal ones once: they say nothing more, and the vendor refuses them."""
    return tuple(dict.fromkeys(views_of(text)))


def is_url(view: str) -> bool:
    """Return whether a view is at a URL; else it is a file."""
    return view.startswith(("https://", "http://"))


def local_views(text: str) -> tuple[str, ...]:
    """Return the views that are files."""
    return tuple(view for view in views_of(text) if not is_url(view))


def fault_of_view(view: str) -> str:
    """Say why a text cannot name one of several views; "" when it can."""
    if _BETWEEN in view or view.startswith(MARK) or "\n" in view:
        return f"a view's name holds no {_BETWEEN!r}, no line break and does not begin with {MARK!r}; rename the file"
    return ""
