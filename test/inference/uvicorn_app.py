"""Runs an HTTP service on uvicorn, as vLLM, SGLang and infinity do; it counts what it is asked.

usage: uvicorn_app.py PORT
"""
import json
import sys

import uvicorn

counted = {"completions": 0}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/count":
        body = json.dumps(counted).encode()
    else:
        counted["completions"] += 1
        body = b'{"usage":{"prompt_tokens":1,"completion_tokens":1}}'
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    await send({"type": "http.response.body", "body": body})



uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
