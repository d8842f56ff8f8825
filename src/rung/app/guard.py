"""Who may ask: only pages of this server, on this machine or with its token."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Names of this machine for itself."""

COOKIE = "rung_token"
"""The cookie that holds the token."""

_LARGEST_FORM = 200_000
"""Largest form [bytes]; tables and listings are streamed with PUT, and have their own limits."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""What a page may load: nothing but what this server sends, and no script that stands in a page."""

# Without a referrer of its own a browser sends forms of these pages with no origin, and they would be refused.
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


class Guard:
    """Refuses requests of other sites, other hosts and strangers before a page is reached."""

    def __init__(self, app: Any, *, token: str = "", port: int | None = None) -> None:
        self._app = app
        self._token = token
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await _refuse(send, *refusal)
            return
        if self._token and _query(scope).get("token"):
            await self._admit(scope, send)
            return

        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *_HEADERS]
            await send(message)

        await self._app(scope, receive, sent)

    def _refusal(self, scope: Scope, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Why a request is refused; None where it is not."""
        host = headers.get("host", "")
        if not self._token and not self._is_loopback(host):
            return 421, f"This app answers on this machine only, and {host[:80]!r} is not its name."
        if scope["method"] not in {"GET", "HEAD"}:
            origin = headers.get("origin")
            if origin is not None and _netloc(origin) != host:
                return 403, "Another site may not ask this app for anything."
            if origin is None and headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
                return 403, "Another site may not ask this app for anything."
            length = headers.get("content-length", "0")
            if scope["method"] != "PUT" and (not length.isdigit() or int(length) > _LARGEST_FORM):
                return 413, "The form is too large."
        if self._token:
            given = _query(scope).get("token") or _cookie(headers.get("cookie", ""))
            if not secrets.compare_digest(given.encode(), self._token.encode()):
                return 403, "Open the address that the app printed when it started: it holds the token."
        return None

    def _is_loopback(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname, parts.port
        except ValueError:
            return False
        return name in LOOPBACK and (self._port is None or (port or 80) == self._port)

    async def _admit(self, scope: Scope, send: Send) -> None:
        """Keep the token in a cookie, and take it out of the address."""
        rest = {name: value for name, value in _query(scope).items() if name != "token"}
        path = quote(scope["path"], safe="/-._~")
        place = ("/" if path.startswith("//") else path) + (f"?{urlencode(rest)}" if rest else "")
        cookie = f"{COOKIE}={self._token}; HttpOnly; SameSite=Strict; Path=/"
        headers = [(b"location", place.encode()), (b"set-cookie", cookie.encode()), *_HEADERS]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _query(scope: Scope) -> dict[str, str]:
    return dict(parse_qsl(scope.get("query_string", b"").decode("latin-1"), max_num_fields=None))


def _netloc(origin: str) -> str:
    """Host and port of an origin; empty where it is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _cookie(text: str) -> str:
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(text)
    except CookieError:
        return ""
    return jar[COOKIE].value if COOKIE in jar else ""


async def _refuse(send: Send, status: int, why: str) -> None:
    body = why.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        *_HEADERS,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
