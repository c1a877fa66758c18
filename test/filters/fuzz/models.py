"""Which models servers in Python see in bodies: lines of `json - hex` or `form type hex` in, lines of JSON out.

null where the body is refused; otherwise what stands under each name that is "model" without
regard to its size: the name, and the value as hexadecimal UTF-8, or null where it is no text.
"""
import asyncio
import json
import sys

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartParser


class Pairs(list):
    """An object's members, those of the same name too."""


def members(pairs):
    found = []
    for name, value in pairs:
        if name.lower() != "model":
            continue
        try:
            found.append([name, value.encode().hex() if isinstance(value, str) else None])
        except UnicodeEncodeError:
            found.append([name, None])
    return found


def of_json(data):
    """json.loads(bytes), as Starlette's request.json() has it."""
    root = json.loads(data, object_pairs_hook=Pairs)
    if not isinstance(root, Pairs):
        raise ValueError("no object")
    return members(root)


async def of_form(kind, data):
    async def stream():
        yield data
        yield b""

    form = await MultiPartParser(Headers({"content-type": kind}), stream()).parse()
    return members(form.multi_items())


def main():
    loop = asyncio.new_event_loop()
    for line in sys.stdin:
        api, kind, data = line.rstrip("\n").split(" ")
        body = bytes.fromhex(data)
        try:
            if api == "json":
                read = of_json(body)
            else:
                read = loop.run_until_complete(of_form(bytes.fromhex(kind).decode("latin-1"), body))
        except Exception:
            read = None
        print(json.dumps(read), flush=True)


main()
