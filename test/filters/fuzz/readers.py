"""How pods read bodies: lines of `api hex` in, lines of JSON out.

For each reader of the API the most tokens that it would write: -1 where nothing bounds
it, 0 where it refuses the request; and the bytes of text that it would read.
"""
import json
import sys
from typing import Any, Optional, Union

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    model_config = ConfigDict(extra="allow")
    stream: Optional[bool] = False
    stream_options: Optional[dict[str, Any]] = None


class Chat(Body):
    messages: list[Any]
    max_tokens: Optional[int] = None
    max_completion_tokens: Optional[int] = None
    n: Optional[int] = 1
    best_of: Optional[int] = None
    min_tokens: int = 0


class Completion(Body):
    prompt: Optional[Union[list[int], list[list[int]], str, list[str]]]
    max_tokens: Optional[int] = 16
    n: int = 1
    best_of: Optional[int] = None


class Responses(Body):
    input: Union[str, list[Any]]
    max_output_tokens: Optional[int] = None


class Messages(Body):
    messages: list[Any]
    max_tokens: int


def product(maximum, *factors):
    if maximum is None:
        return -1
    if maximum < 1:
        return 0
    for factor in factors:
        maximum *= max(factor or 1, 1)
    return maximum


def prompts(value):
    if not isinstance(value, list) or not value:
        return 1
    if all(isinstance(each, int) for each in value):
        return 1
    return sum(1 for each in value if isinstance(each, (str, list, dict)))


def text(value, tokens=True):
    """Bytes of UTF-8, and four for each number that is a token: in lists, not in what they say of messages."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "replace"))
    if isinstance(value, list):
        return sum(4 if tokens and type(each) is int else text(each, tokens) for each in value)
    if isinstance(value, dict):
        return sum(text(each, False) for each in value.values())
    return 0


def vllm(api, data):
    """json and pydantic, as FastAPI has them; maxima as vLLM and SGLang take them."""
    body = json.loads(data)
    if api == "chat":
        read = Chat.model_validate(body)
        choices = max(read.n or 1, read.best_of or 1)
        return product(read.max_completion_tokens or read.max_tokens, choices), text(read.messages)
    if api == "completions":
        read = Completion.model_validate(body)
        choices = max(read.n, read.best_of or 1)
        return product(read.max_tokens, choices, prompts(read.prompt)), text(read.prompt)
    if api == "responses":
        read = Responses.model_validate(body)
        return product(read.max_output_tokens), text(read.input)
    read = Messages.model_validate(body)
    return product(read.max_tokens), text(read.messages)


def refuse(_):
    raise ValueError("no JSON")


ASKED = {"chat": "messages", "completions": "prompt", "responses": "input"}


def number(body, name, default):
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return default
    return int(value)


def mixed(value):
    """llama.cpp takes texts among numbers for one prompt, and no other numbers than whole ones."""
    if not isinstance(value, list):
        return 1
    kinds = {type(each) for each in value}
    if kinds - {int, str, list, dict}:
        raise ValueError("no prompt")
    return 1 if int in kinds else max(len(value), 1)


def llama(api, data):
    """JSON as nlohmann reads it; a number of another type is none at all, and none is no bound."""
    body = json.loads(data.decode("utf-8-sig"), parse_constant=refuse)
    if not isinstance(body, dict):
        raise ValueError("no object")
    if api == "responses":
        maximum = number(body, "max_output_tokens", -1)
    else:
        maximum = number(body, "max_completion_tokens", number(body, "max_tokens", -1)) if api == "chat" else number(body, "max_tokens", -1)
    maximum = number(body, "n_predict", maximum)
    read = text(body[ASKED[api]])
    if maximum < 0:
        return -1, read
    return maximum * max(number(body, "n_cmpl", number(body, "n", 1)), 1) * (mixed(body["prompt"]) if api == "completions" else 1), read


def fold(pairs):
    """Go's way: names in any case, the last one counts, and maps are merged."""
    out = {}
    for name, value in pairs:
        known = name.lower().replace("\u017f", "s").replace("\u212a", "k")
        name = known if known in ("options", "max_tokens", "n", "messages", "prompt", "stream") else name
        if isinstance(value, dict) and isinstance(out.get(name), dict):
            value = {**out[name], **value}
        elif value is None and name in out:
            value = out[name]
        out[name] = value
    return out


def ollama(api, data):
    body = json.loads(data.decode("utf-8"), parse_constant=refuse, object_pairs_hook=fold)
    if not isinstance(body, dict) or body.get("messages") is None:
        raise ValueError("nothing asked")
    options = body.get("options") or {}
    maximum = options.get("num_predict", -1)
    if isinstance(maximum, bool) or not isinstance(maximum, (int, float)):
        raise ValueError("no number")
    maximum = int(maximum)
    return (-1 if maximum < 0 else maximum), text(body["messages"])


READERS = {
    "chat": [vllm, llama],
    "completions": [vllm, llama],
    "responses": [vllm, llama],
    "messages": [vllm],
    "ollama": [ollama],
}

for line in sys.stdin:
    api, body = line.split()
    told = []
    for reader in READERS[api]:
        try:
            told.append(reader(api, bytes.fromhex(body)))
        except (ValueError, TypeError, LookupError, OverflowError, RecursionError, AttributeError):
            told.append((0, 0))
    print(json.dumps(told), flush=True)
