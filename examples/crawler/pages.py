"""One request, and what its answer means: a page, "ask again later", or "do not ask again"."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

import attrs
import httpx
import trio

from trio_workflow import Permanent, Retryable, StepFailure

USER_AGENT = "trio-workflow-crawler/1.0"
LONGEST_WAIT = 600.0
"""Seconds that a server's Retry-After is obeyed for at most."""

LATER = {408, 425, 429, 500, 502, 503, 504}


@attrs.frozen(kw_only=True)
class Answer:
    """What the server sent. body: None when it is of a type nobody wanted. location: where it moved to."""

    status: int
    content_type: str
    charset: str | None
    body: bytes | None
    location: str | None
    seconds: float


async def ask(
    client: httpx.AsyncClient, url: str, *, most: int, type_wanted: str = "", follow: bool = False
) -> Answer:
    """Ask for a page once. Raises Retryable or Permanent with a code for what went wrong.

    most: bytes that a page may have. type_wanted: only such content is read.
    """
    begun = trio.current_time()
    try:
        async with client.stream("GET", url, follow_redirects=follow) as response:
            failure = failure_of(response)
            if failure is not None:
                raise failure
            body = await _body(response, most) if _is_wanted(response, type_wanted) else None
    except httpx.TimeoutException as error:
        raise Retryable("timeout", error) from error
    except httpx.TransportError as error:
        raise Retryable("no_connection", error) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Permanent("bad_answer", error) from error
    return Answer(
        status=response.status_code,
        content_type=content_type(response),
        charset=response.charset_encoding,
        body=body,
        location=response.headers.get("location") if response.has_redirect_location else None,
        seconds=trio.current_time() - begun,
    )


def failure_of(response: httpx.Response) -> StepFailure | None:
    """What an answer without a page means; None when it has one, or says where it is."""
    status = response.status_code
    if response.is_success or response.has_redirect_location:
        return None
    code, text = f"http_{status}", f"{status} {response.reason_phrase}"
    if status in LATER or status >= 500:
        return Retryable(code, text, delay=retry_after(response))
    return Permanent(code, text)


def retry_after(response: httpx.Response) -> float | None:
    """Seconds the server asks to wait, given as a number or as a date; None if it does not say."""
    text = response.headers.get("retry-after", "").strip()
    try:
        if text.isdecimal():
            seconds = float(text)
        else:
            when = parsedate_to_datetime(text)
            seconds = (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def content_type(response: httpx.Response) -> str:
    """Without its parameters: "text/html"."""
    text: str = response.headers.get("content-type", "")
    return text.partition(";")[0].strip().lower()


def _is_wanted(response: httpx.Response, type_wanted: str) -> bool:
    return response.is_success and type_wanted in ("", content_type(response))


async def _body(response: httpx.Response, most: int) -> bytes:
    """The unpacked bytes, counted as they come: a small answer may unpack to a huge one."""
    body = bytearray()
    generator = cast("AsyncGenerator[bytes]", response.aiter_bytes())  # httpx calls it an iterator
    async with aclosing(generator) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > most:
                raise Permanent("too_large", f"the page has more than {most} bytes")
    return bytes(body)
