"""Undo the content encodings of a body within a limit, and say whether it was whole.

Three kilobytes can stand for four gigabytes, so nothing is decoded beyond the limit; and a stream
that ends before its end is told from a whole one, so that half a page is not taken for the page.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from scrapy.utils._compression import (  # type: ignore[attr-defined]  # the codecs it chose
    brotli,
    zstd,
)

try:
    from isal import isal_zlib
except ImportError:  # not built for every platform
    isal_zlib = None  # type: ignore[assignment,unused-ignore]  # as far as it is there

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PIECE = 65_536
_GZIP = 31  # zlib's word for a gzip frame
_RAW = -15


class DecodedTooLargeError(ValueError):
    """A body that decodes to more than the limit."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded body, the encodings that nobody knows, and whether the streams were whole."""

    body: bytes
    unknown: tuple[str, ...]
    whole: bool


def decode(body: bytes, encodings: tuple[str, ...], limit: int) -> Decoded:
    """Undo `encodings`, the last one first, to at most `limit` bytes each.

    Markup that was only declared to be encoded is taken as it is, as some servers send it.

    Raises:
        DecodedTooLargeError: There is more than `limit`.
    """
    left = [name for name in encodings if name not in {"", "identity"}]
    if left == ["gzip"] and (plain := _gunzipped_at_once(body, limit)) is not None:
        return Decoded(plain, (), whole=True)
    whole = True
    while left and left[-1] in _DECODERS:
        body, complete = _undo(body, left.pop(), limit)
        whole = whole and complete
    return Decoded(body, tuple(left), whole)


def _undo(body: bytes, encoding: str, limit: int) -> tuple[bytes, bool]:
    """A body without one encoding, as far as it goes, and whether that was to its end."""
    out = BytesIO()
    try:
        for piece in _DECODERS[encoding](body):
            out.write(piece)
            if out.tell() > limit:
                out.close()  # the error lives on, with this frame in its traceback
                raise DecodedTooLargeError(f"{encoding} body decodes to more than {limit} bytes")
    except (zlib.error, brotli.error, zstd.ZstdError, EOFError):
        sent_plain = not out.tell() and body.lstrip().startswith(b"<")
        return (body, True) if sent_plain else (out.getvalue(), False)
    return out.getvalue(), True


def _gunzipped_at_once(body: bytes, limit: int) -> bytes | None:
    """A gzip body by a faster library, if it is one whole member within the limit; else None.

    What is broken, too large or in parts is for zlib, so that it has one meaning on all platforms.
    """
    if isal_zlib is None:
        return None
    stream = isal_zlib.decompressobj(_GZIP)
    try:
        plain: bytes = stream.decompress(body, limit)
    except Exception:  # whatever it is, zlib says what it means
        return None
    return plain if stream.eof and not stream.unused_data else None


def _gunzipped(body: bytes) -> Iterator[bytes]:
    """The members of a gzip body; what follows the last one is padding."""
    rest = body
    while rest is body or rest.startswith(b"\x1f\x8b"):
        member = zlib.decompressobj(_GZIP)
        yield from _inflated(rest, member)
        rest = member.unused_data


def _undeflated(body: bytes) -> Iterator[bytes]:
    """A deflate body, with its zlib frame or, as some servers send it, without."""
    try:
        zlib.decompressobj().decompress(body, 1)
        wbits = zlib.MAX_WBITS
    except zlib.error:
        wbits = _RAW
    return _inflated(body, zlib.decompressobj(wbits))


def _inflated(rest: bytes, stream: Any) -> Iterator[bytes]:
    while rest and not stream.eof:
        yield stream.decompress(rest, _PIECE)
        rest = stream.unconsumed_tail
    yield stream.flush()
    _end(stream.eof)


def _unbrotlied(body: bytes) -> Iterator[bytes]:
    stream = brotli.Decompressor()
    piece = stream.process(body, output_buffer_limit=_PIECE)
    while piece:
        yield piece
        piece = stream.process(b"", output_buffer_limit=_PIECE)
    _end(stream.is_finished())


def _unzstd(body: bytes) -> Iterator[bytes]:
    stream = zstd.ZstdDecompressor()
    piece = stream.decompress(body, _PIECE)
    while piece:
        yield piece
        piece = b"" if stream.eof else stream.decompress(b"", _PIECE)
    _end(stream.eof)


def _end(reached: bool) -> None:
    if not reached:
        raise EOFError


_DECODERS: dict[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": _gunzipped,
    "x-gzip": _gunzipped,
    "deflate": _undeflated,
    "br": _unbrotlied,
    "zstd": _unzstd,
}
