"""Which URLs are the same, and which belong to the site."""

import hashlib
import re
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

LONGEST = 2000
"""Characters of the longest URL that is followed: longer ones are traps more often than pages."""

DEFAULT_PORTS = {"http": 80, "https": 443}
KEPT = "/%:@!$&'()*+,;=~-._?"


def normalise(href: str, base: str) -> str | None:
    """The one way to write where a link leads, without its fragment; None if that is no web page."""
    try:
        parts = urlsplit(urljoin(base, href.strip()))
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not host or parts.username is not None:
        return None
    netloc = _host_text(host)
    if port is not None and port != DEFAULT_PORTS[parts.scheme]:
        netloc = f"{netloc}:{port}"
    url = urlunsplit((parts.scheme, netloc, _quoted(parts.path) or "/", _quoted(parts.query), ""))
    return url if len(url) <= LONGEST else None


def host_of(url: str) -> str:
    """The host, with the port if it is an unusual one: what "the same site" means here."""
    return urlsplit(url).netloc


def robots_url(url: str) -> str:
    """Where the site of this URL says what crawlers may do."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/robots.txt"


def short_name(url: str) -> str:
    """What people call a page: its path without the ending."""
    path = urlsplit(url).path.strip("/")
    return re.sub(r"\.html?$", "", path) or host_of(url)


def family_of(url: str) -> str:
    """What related pages have in common: the first word of their path."""
    return re.split(r"[/.]", short_name(url))[0]


def key_of(url: str) -> str:
    """The URL as a part of a step's id, and as its dedup key; a long one ends in a digest of the whole."""
    return url if len(url) <= 240 else f"{url[:220]}~{hashlib.sha256(url.encode()).hexdigest()[:16]}"


def _host_text(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _quoted(part: str) -> str:
    """Signs that may not stand in a URL, percent-encoded; what is encoded already stays."""
    return quote(part, safe=KEPT)
