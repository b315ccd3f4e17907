"""Sign in with a code that is read out over the phone; by SMS where nobody can be called.

pip install flask ../../clients/python
REDIS_URL=redis://127.0.0.1:6379/0 flask run
"""

import hmac
import os
import secrets
from pathlib import Path
from typing import Any

from flask import Flask, request, session
from voicecode_client import Client, Refused, Unavailable

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or secrets.token_bytes()
voicecode = Client(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"))
codes: dict[str, str] = {}  # your database, with an end for each: a cookie is no place for a code


@app.get("/")
def page() -> str:
    return Path(__file__).parents[1].joinpath("page.html").read_text("utf-8")


@app.post("/call")
def call() -> dict[str, Any]:
    key, code = "login:" + secrets.token_hex(8), f"{secrets.randbelow(10**6):06}"
    session["key"], codes[key] = key, code
    try:
        answer = voicecode.send(request.json["mobile"], code, key=key, expires_in=300, purpose="login")
    except Unavailable:
        return {"state": "unavailable", "offer": "sms", "ended": True}
    if isinstance(answer, Refused):
        detail = answer.detail if answer.reason == "bad_input" else ""
        return {"state": "refused", "offer": answer.offer, "ended": True, "detail": detail}
    return {"state": "queued", "offer": "voice", "ended": False}


@app.get("/status")
def status() -> dict[str, Any]:
    try:
        found = voicecode.status(session["key"])
    except (KeyError, Unavailable):
        return {"state": "unavailable", "offer": "sms", "ended": True}
    return {"state": found.state, "offer": found.offer, "ended": found.ended}


@app.post("/sms")
def sms() -> dict[str, Any]:
    # Your SMS provider gets codes[session["key"]]: the same code is good on both ways.
    return {"state": "sms", "offer": "voice", "ended": True}


@app.post("/check")
def check() -> dict[str, Any]:
    code = codes.get(session.get("key", ""), "")
    if not code or not hmac.compare_digest(code, str(request.json["code"])):
        return {"state": "wrong", "offer": "voice", "ended": True}
    del codes[session["key"]]
    return {"state": "signed in", "offer": "voice", "ended": True}
