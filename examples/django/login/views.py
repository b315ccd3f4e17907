"""Sign in with a code that is read out over the phone; by SMS where nobody can be called."""

import json
import secrets
from pathlib import Path

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST
from voicecode_client import Unavailable, rules
from voicecode_client.django import client, send_on_commit

PAGE = Path(__file__).parents[2].joinpath("page.html").read_text("utf-8")


@require_GET
@ensure_csrf_cookie
def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(PAGE)


@require_POST
def call(request: HttpRequest) -> JsonResponse:
    """Send a code: the phone rings only if this request's transaction is committed."""
    try:
        mobile = rules.mobile(json.loads(request.body)["mobile"])
    except rules.BadInput as error:
        return answer("refused", detail=str(error))
    key, code = "login:" + secrets.token_hex(8), f"{secrets.randbelow(10**6):06}"
    request.session["login"] = {"key": key, "code": code}  # in the database: never in a cookie
    send_on_commit(mobile, code, key=key, expires_in=300, purpose="login")
    return answer("queued", ended=False)


@require_GET
def status(request: HttpRequest) -> JsonResponse:
    try:
        found = client().status(request.session["login"]["key"])
    except (KeyError, Unavailable):
        return answer("unavailable", offer="sms")
    return answer(found.state, offer=found.offer, ended=found.ended)


@require_POST
def sms(request: HttpRequest) -> JsonResponse:
    # Your SMS provider gets request.session["login"]["code"]: it is good on both ways.
    return answer("sms" if "login" in request.session else "wrong")


@require_POST
def check(request: HttpRequest) -> JsonResponse:
    code = request.session.get("login", {}).get("code", "")
    if not code or not constant_time_compare(code, str(json.loads(request.body)["code"])):
        return answer("wrong")
    del request.session["login"]
    return answer("signed in")


def answer(state: str, *, offer: str = "voice", ended: bool = True, detail: str = "") -> JsonResponse:
    return JsonResponse({"state": state, "offer": offer, "ended": ended, "detail": detail})
