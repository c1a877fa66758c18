"""Asks a gateway through OpenAI's and Anthropic's own clients, and says as JSON what they made of it.

usage: clients.py URL HOST
"""
import json
import sys

import anthropic
import openai

url, host = sys.argv[1:]
headers = {"host": host, "x-tenant-id": "acme"}
ask = {"model": "tiny", "max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}
said = {}

with openai.OpenAI(
    api_key="unused", base_url=f"{url}/v1", default_headers=headers, max_retries=0
) as client:
    answer = client.chat.completions.create(**ask)
    said["chat"] = [answer.choices[0].finish_reason, answer.usage.completion_tokens]
    stream = client.chat.completions.create(
        **ask, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    said["chat stream"] = [
        [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1],
        chunks[-1].usage.completion_tokens,
    ]
    chunks = list(client.chat.completions.create(**ask, stream=True))
    said["chat stream without usage"] = [
        # Its timings come in an event without a choice, once the usage in it was taken out.
        [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1],
        sum(chunk.usage is not None for chunk in chunks),
    ]
    response = client.responses.create(model="tiny", input="hello", max_output_tokens=8)
    said["response"] = [response.status, response.usage.output_tokens]
    events = list(
        client.responses.create(model="tiny", input="hello", max_output_tokens=8, stream=True)
    )
    said["response stream"] = [events[-1].type, events[-1].response.usage.output_tokens]
    try:
        client.embeddings.create(model="tiny", input="hello")
    except openai.APIStatusError as error:
        said["embedding that the server lacks"] = error.status_code
    refused = openai.OpenAI(
        api_key="unused",
        base_url=f"{url}/v1",
        default_headers={**headers, "x-tenant-id": "none"},
        max_retries=0,
    )
    try:
        refused.chat.completions.create(**ask)
    except openai.RateLimitError as error:
        said["refusal"] = [error.status_code, error.code, int(error.response.headers["retry-after"]) > 0]

with anthropic.Anthropic(
    api_key="unused", base_url=url, default_headers=headers, max_retries=0
) as client:
    message = client.messages.create(**ask)
    said["message"] = [message.stop_reason, message.usage.output_tokens]
    with client.messages.stream(**ask) as stream:
        message = stream.get_final_message()
    said["message stream"] = [message.stop_reason, message.usage.output_tokens]
    said["count"] = client.messages.count_tokens(
        model="tiny", messages=ask["messages"]
    ).input_tokens > 0

print(json.dumps(said))
