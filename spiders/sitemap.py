"""Read the page addresses of a sitemap, within limits: it is a stranger's XML like any other."""

from __future__ import annotations

import zlib
from io import BytesIO

from lxml import etree

_GZIP = b"\x1f\x8b"


def locations(body: bytes, limit: int, max_bytes: int) -> tuple[list[str], list[str]]:
    """The pages and the further sitemaps that a sitemap names, at most `limit` together.

    Reads what there is of a broken or truncated one. Entities are not resolved, nothing is loaded.
    A gzip body is read to at most `max_bytes`.
    """
    if body.startswith(_GZIP):
        body = _gunzip(body, max_bytes)
    pages: list[str] = []
    sitemaps: list[str] = []
    events = etree.iterparse(
        BytesIO(body),
        events=("end",),
        recover=True,
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    try:
        for _, element in events:
            name = _local_name(element)
            if name == "loc" and element.text:
                parent = element.getparent()
                within = _local_name(parent) if parent is not None else ""
                (sitemaps if within == "sitemap" else pages).append(element.text.strip())
                if len(pages) + len(sitemaps) >= limit:
                    break
            _let_go(element)
    except etree.XMLSyntaxError:
        pass  # what was read before the break stands
    return pages, sitemaps


def _local_name(element: etree._Element) -> str:
    """Name without namespace; not by etree.QName, which refuses names that it has parsed."""
    return str(element.tag).rpartition("}")[2]


def _let_go(element: etree._Element) -> None:
    """Free what was read: an element's content, and the elements before it."""
    element.clear()
    above = element.getparent()
    while above is not None and element.getprevious() is not None:
        del above[0]


def _gunzip(body: bytes, max_bytes: int) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(body, max_bytes)
    except zlib.error:
        return b""
