"""The pages: a form, the songs that were found, and each of them to see and hear."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Message

from kinet import page
from kinet.address import Address
from kinet.errors import KinetError, printable
from kinet.serving.desk import Desk
from kinet.serving.folder import upload_folder
from kinet.serving.guard import Guard
from kinet.serving.limits import Limits, Refusal

# Characters of a name that are shown.
_LONGEST_NAME = 200
# The page itself says which script it has; what it cannot say of itself is added.
_PAGE_POLICY = "frame-ancestors 'none'"


def site(library: Path | Address, model: str | None, port: int, limits: Limits) -> Guard:
    """The application; while it runs it has a folder for uploads, and the library open.

    Parameters
    ----------
    library : pathlib.Path or Address
        The file, or the database.
    model : str or None
        As of `kinet.Library.open`.
    port : int
        Under which it is reached.
    limits : Limits
    """

    @contextlib.asynccontextmanager
    async def opened(app: Starlette) -> AsyncIterator[None]:
        with (
            upload_folder() as folder,
            contextlib.closing(Desk(library, model, folder, limits)) as desk,
        ):
            app.state.desk = desk
            yield

    app = Starlette(
        routes=[
            Route("/", _front),
            Route("/", _upload, methods=["POST"]),
            Route("/answers/{key}", _answer),
            Route("/answers/{key}/{rank:int}", _match),
            Route("/style.css", _style),
            Route("/script.js", _script),
        ],
        exception_handlers=dict.fromkeys((HTTPException, KinetError, OSError), _told),
        lifespan=opened,
    )
    app.state.token = secrets.token_urlsafe(32)
    app.state.library = library.name
    pages = Environment(autoescape=True, undefined=StrictUndefined)
    pages.filters["printable"] = printable
    app.state.page = pages.from_string(_file("kinet.serving", "site.html"))
    return Guard(app, port)


def shown_name(filename: str | None) -> str:
    """What an upload is called: the last part of its name, without what would steer a terminal.

    Examples
    --------
    >>> shown_name("../../etc/a song.mp3"), shown_name("C:\\\\music\\\\b.mp3"), shown_name("..")
    ('a song.mp3', 'b.mp3', 'recording')
    """
    last = (filename or "").replace("\\", "/").rpartition("/")[2]
    name = " ".join(printable(last).split())[:_LONGEST_NAME]
    return name if name.strip(".") else "recording"


def _shown(request: Request, status: int = 200, **values: Any) -> HTMLResponse:
    state = request.app.state
    known = {"message": "", "answer": None, "key": "", "token": state.token}
    text = state.page.render(
        **{**known, **values}, library=printable(state.library), limits=state.desk.limits
    )
    return HTMLResponse(text, status)


async def _front(request: Request) -> Response:
    return _shown(request)


async def _upload(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    with desk.place():
        form = await _received(request, desk.limits)
        try:
            recording = _recording(form, request.app.state.token)
            key = await desk.find(recording.file, shown_name(recording.filename))
        finally:
            await form.close()
    return RedirectResponse(request.app.url_path_for("_answer", key=key), 303)


def _recording(form: FormData, own_token: str) -> UploadFile:
    """What was handed in with a form of this page."""
    token, recording = form.get("token"), form.get("recording")
    is_own = isinstance(token, str) and secrets.compare_digest(token.encode(), own_token.encode())
    if not is_own:
        raise Refusal(403, "the form is not of this page as it is now; load the page again")
    if not isinstance(recording, UploadFile) or not recording.size:
        raise Refusal(400, "no recording in the form, or an empty one; choose a file")
    return recording


async def _received(request: Request, limits: Limits) -> FormData:
    """The form, of which no more is taken than is allowed."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise Refusal(415, "not a form with a file; need the form of this page")
    too_large = Refusal(413, f"larger than {limits.bytes / 1e6:g} MB; need at most that")
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > limits.bytes:
        raise too_large
    count = 0

    async def receive() -> Message:
        nonlocal count
        message = await request.receive()
        count += len(message.get("body", b""))
        if count > limits.bytes:  # whatever was said
            raise too_large
        return message

    try:
        async with asyncio.timeout(limits.job_seconds):
            return await Request(request.scope, receive).form(max_files=1, max_fields=1)
    except TimeoutError as error:
        raise Refusal(400, f"did not come within {limits.job_seconds:g} s") from error
    except ClientDisconnect as error:
        raise Refusal(400, "broke off while it was received") from error


async def _answer(request: Request) -> Response:
    key = request.path_params["key"]
    return _shown(request, answer=request.app.state.desk.answer(key), key=key)


async def _match(request: Request) -> Response:
    desk: Desk = request.app.state.desk
    with desk.place():
        text = await desk.page(request.path_params["key"], request.path_params["rank"])
    return HTMLResponse(text, headers={"content-security-policy": _PAGE_POLICY})


async def _style(request: Request) -> Response:
    return Response(
        _file(page.__name__, "page.css") + _file("kinet.serving", "site.css"), media_type="text/css"
    )


async def _script(request: Request) -> Response:
    return Response(_file("kinet.serving", "site.js"), media_type="text/javascript")


def _file(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


async def _told(request: Request, error: Exception) -> Response:
    """What went wrong, in one line, on the page."""
    if isinstance(error, HTTPException):
        status, message = error.status_code, error.detail
    elif isinstance(error, OSError):  # a disk that is full, most likely
        status, message = 503, f"nothing can be kept here ({error.strerror or error})"
    else:
        status, message = getattr(error, "status", 500), str(error)
    return _shown(request, status, message=printable(" ".join(message.split())))
