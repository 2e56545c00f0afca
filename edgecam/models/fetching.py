"""Fetching a file from a URL into one that may have its beginning already: over HTTP from there on, else anew."""

from __future__ import annotations

import http.client
import io
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import IO, Any

from edgecam.errors import ModelError

#: Bytes a second: a server that is slower for as long as the time-out is given up; a resumed fetch loses nothing by it.
SLOWEST = 100
_CHUNK_BYTES = 1 << 16

Watch = Callable[[int | None], AbstractContextManager[Callable[[int], None]]]
"""Opened with the size of the whole (None: unknown); gives what is called with each further number of bytes."""


class FetchError(ModelError):
    """A URL cannot be fetched, or not to its end; what came of it is kept."""


def fetch(url: str, file: io.FileIO, timeout: float, limit_bytes: int, watch: Watch) -> bool:
    """Fill `file` with what the URL has. True where the beginning that was in it has been kept.

    It is kept where the server goes on from there; whether it fits is for the caller to find out. `timeout` is that of
    each silence. Raises FetchError; ModelError where there is more than `limit_bytes`; OSError where `file` takes no
    more.
    """
    response, begun = _open(url, file.seek(0, io.SEEK_END), timeout)
    file.truncate(begun)
    received = file.seek(begun)
    with response:
        length = response.headers.get("Content-Length", "")
        total = begun + int(length) if length.isdecimal() else None
        with watch(total) as advance:
            advance(begun)
            for chunk in _chunks(response, url, timeout):
                received += len(chunk)
                if received > limit_bytes:
                    raise ModelError(f"{url}: more than {limit_bytes} bytes: not the published file")
                _write(file, chunk)
                advance(len(chunk))
    if total not in (None, received):
        raise FetchError(f"{url}: ended after {received} of {total} bytes")
    return begun > 0


def _open(url: str, begun: int, timeout: float) -> tuple[Any, int]:
    """The answer to a request for the URL, and where in the file it begins: at `begun`, or at 0."""
    with _network_faults(url):
        if begun:
            try:
                response = _opener(("Range", f"bytes={begun}-")).open(url, timeout=timeout)
            except urllib.error.HTTPError as error:
                if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise
                error.close()
            else:
                return response, begun if response.status == http.client.PARTIAL_CONTENT else 0
        return _opener().open(url, timeout=timeout), 0


def _opener(*headers: tuple[str, str]) -> urllib.request.OpenerDirector:
    """One of its own for each request: the shared one remembers the proxies of its first use."""
    opener = urllib.request.build_opener()
    opener.addheaders.extend(headers)
    return opener


def _chunks(response: IO[bytes], url: str, timeout: float) -> Iterator[bytes]:
    """What comes, as it comes."""
    since, received = time.monotonic(), 0
    while True:
        with _network_faults(url):
            chunk: bytes = response.read1(_CHUNK_BYTES)  # type: ignore[attr-defined]
        if not chunk:
            return
        yield chunk
        received += len(chunk)
        passed = time.monotonic() - since
        if passed >= timeout:
            if received < SLOWEST * passed:
                raise FetchError(f"{url}: cannot be fetched ({received} bytes in {passed:.0f} s: too slow)")
            since, received = time.monotonic(), 0


def _write(file: io.FileIO, chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[file.write(left) :]


@contextmanager
def _network_faults(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise FetchError(f"{url}: cannot be fetched ({_why(error)})") from error


def _why(error: BaseException | str) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return _why(error.reason)
    return "no answer in time" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or str(error)
