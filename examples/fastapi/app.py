"""Sign in with a code that is read out over the phone; by SMS where nobody can be called.

pip install "fastapi[standard]" "../../clients/python[fastapi]"
REDIS_URL=redis://127.0.0.1:6379/0 fastapi run app.py
"""

import hmac
import os
import secrets
from pathlib import Path
from typing import Annotated

from fastapi import Cookie, FastAPI, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from voicecode_client import Refused, Unavailable
from voicecode_client.fastapi import Voicecode, lifespan

app = FastAPI(lifespan=lifespan(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")))
codes: dict[str, str] = {}  # your database, with an end for each
PAGE = Path(__file__).parents[1].joinpath("page.html").read_text("utf-8")
Key = Annotated[str, Cookie()]


class Call(BaseModel):
    mobile: str


class Check(BaseModel):
    code: str


class Answer(BaseModel):
    state: str
    offer: str = "voice"
    ended: bool = True
    detail: str = ""


@app.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse(PAGE)


@app.post("/call")
async def call(call: Call, voicecode: Voicecode, response: Response) -> Answer:
    key, code = "login:" + secrets.token_hex(8), f"{secrets.randbelow(10**6):06}"
    codes[key] = code
    response.set_cookie("key", key, httponly=True, samesite="strict", max_age=300)
    try:
        answer = await voicecode.send(call.mobile, code, key=key, expires_in=300, purpose="login")
    except Unavailable:
        return Answer(state="unavailable", offer="sms")
    if isinstance(answer, Refused):
        detail = answer.detail if answer.reason == "bad_input" else ""
        return Answer(state="refused", offer=answer.offer, detail=detail)
    return Answer(state="queued", ended=False)


@app.get("/status")
async def status(voicecode: Voicecode, key: Key = "") -> Answer:
    try:
        found = await voicecode.status(key)
    except Unavailable:
        return Answer(state="unavailable", offer="sms")
    return Answer(state=found.state, offer=found.offer, ended=found.ended)


@app.post("/sms")
async def sms(key: Key = "") -> Answer:
    # Your SMS provider gets codes[key]: the same code is good on both ways.
    return Answer(state="sms" if key in codes else "wrong")


@app.post("/check")
async def check(check: Check, key: Key = "") -> Answer:
    if key not in codes or not hmac.compare_digest(codes[key], check.code):
        return Answer(state="wrong")
    del codes[key]
    return Answer(state="signed in")
