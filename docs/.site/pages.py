"""The hooks of mkdocs.yml: they bring the documents of the root into the site, and mend links for it.

In a repository a link may lead to any file of it. The site holds documents alone: a link to another file (a job of
configs/, a sample) becomes the name of that file. A link to nothing is left as it is, and the strict build fails on it.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent.parent
OF_ROOT = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "README.md", "README.zh-CN.md", "SECURITY.md")
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s#]*)(#[^()\s]*)?\)")
_LOADS = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
# mkdocs takes a README.md for the first page of a folder, and docs/ has an index.md.
_NAMES = {"README.md": "readme.md", "README.zh-CN.md": "readme.zh-CN.md"}


def on_files(files: Files, config: Any) -> Files:
    """Add the documents of the root."""
    for name in OF_ROOT:
        files.append(File.generated(config, _NAMES.get(name, name), content=(ROOT / name).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Mend the links of one document."""
    own = page.file.src_uri
    real = next((name for name, uri in _NAMES.items() if uri == own), own)
    folder = posixpath.dirname(real if real in OF_ROOT else f"docs/{own}")
    return _LINK.sub(lambda link: _mended(link, folder, posixpath.dirname(own)), markdown)


def _mended(link: re.Match[str], folder: str, place: str) -> str:
    """Return a link as the site needs it: `folder` is its document's in the repository, `place` that in the site."""
    text, target, anchor = link[1], link[2], link[3] or ""
    if not target or "://" in target or target.startswith("mailto:"):
        return link[0]
    path = posixpath.normpath(posixpath.join(folder, target))
    if path in OF_ROOT:
        return f"[{text}]({posixpath.relpath(_NAMES.get(path, path), place or '.')}{anchor})"
    if path.startswith("docs/"):
        return f"[{text}]({posixpath.relpath(path.removeprefix('docs/'), place or '.')}{anchor})"
    if (ROOT / path).exists():
        return text if text.startswith("`") or path in text else f"{text} (`{path}`)"
    return link[0]


def on_post_build(config: Any) -> None:
    """Refuse a site whose pages load anything from another host."""
    for page in Path(config.site_dir).rglob("*.html"):
        if found := _LOADS.search(page.read_text(encoding="utf-8")):
            raise PluginError(f"{page.name} loads something from another host: {found[0]}")
