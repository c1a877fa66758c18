"""Asks for several models at one address through OpenAI's and Anthropic's own clients, and says as
JSON which variant answered each, and what the clients made of the answers.

usage: models.py URL HOST MODEL...
"""
import json
import sys

import anthropic
import openai

url, host, *models = sys.argv[1:]
said = {}
variant = "x-weir-variant"


def ask(model):
    return {"model": model, "max_tokens": 4, "messages": [{"role": "user", "content": "hello"}]}


def headers(user):
    return {"host": host, "x-user-id": user}


with openai.OpenAI(
    api_key="unused", base_url=f"{url}/v1", max_retries=0, default_headers=headers("ada")
) as client:
    for model in models:
        answers = []
        for user in ("ada", "bob", "ada"):
            raw = client.chat.completions.with_raw_response.create(
                **ask(model), extra_headers=headers(user)
            )
            answers.append([raw.headers[variant], raw.parse().choices[0].finish_reason])
        with client.chat.completions.with_streaming_response.create(
            **ask(model), stream=True
        ) as raw:
            chunks = [chunk for chunk in raw.parse() if chunk.choices]
            answers.append([raw.headers[variant], chunks[-1].choices[0].finish_reason])
        said[f"chat {model}"] = answers
    said["models"] = sorted(model.id for model in client.models.list())
    try:
        client.chat.completions.create(**ask("unknown"))
    except openai.NotFoundError as error:
        said["unknown"] = [error.status_code, error.code]

with anthropic.Anthropic(
    api_key="unused", base_url=url, max_retries=0, default_headers=headers("ada")
) as client:
    for model in models:
        raw = client.messages.with_raw_response.create(**ask(model))
        answers = [[raw.headers[variant], raw.parse().stop_reason]]
        with client.messages.stream(**ask(model)) as stream:
            answers.append([stream.response.headers[variant], stream.get_final_message().stop_reason])
        said[f"message {model}"] = answers
    try:
        client.messages.create(**ask("unknown"))
    except anthropic.NotFoundError as error:
        said["unknown message"] = [error.status_code, error.body["error"]["type"]]

print(json.dumps(said))
