"""What stands before every page: only this machine's browser, only by this page's own address."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The only address that is listened at.
ADDRESS = "127.0.0.1"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # Not no-referrer, with which forms would come from the origin "null".
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Guard:
    """Refuses requests that other sites' pages can bring a browser to send.

    A name that an attacker lets point to this machine (DNS rebinding) is seen in the header Host,
    a form of another site in the header Origin.

    Parameters
    ----------
    app : ASGI application
    port : int
        At which it is listened.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
        if port == 80:
            self._hosts |= {ADDRESS, "localhost"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("content-security-policy", POLICY)
            await send(message)

        fault = self._fault(Headers(scope=scope), scope["method"])
        app = PlainTextResponse(fault, 403) if fault else self._app
        await app(scope, receive, send_guarded)

    def _fault(self, headers: Headers, method: str) -> str:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return f"asked for under another name; allowed: {' and '.join(sorted(self._hosts))}"
        is_needed = bool(origins) or method not in ("GET", "HEAD")
        if is_needed and origins != [f"http://{hosts[0].lower()}"]:
            return f"asked for by another site; allowed: http://{hosts[0].lower()}"
        return ""
