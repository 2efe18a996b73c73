#!/usr/bin/env python3
"""The official `openai` client against a running server: what its users rely on, one test a promise.

    openai_client.py BASE_URL [--api-key KEY]        BASE_URL such as http://127.0.0.1:8000

Needs no particular model. Exits 1 with the tests that failed.
"""

import array
import asyncio
import math
import sys
import time

import openai

from client_suite import ask, client_suite, refused

suite = client_suite()
test = suite.test


@test
def models(client, model):
    listed = [served.id for served in client.models.list()]
    assert model in listed
    assert client.models.retrieve(model).object == "model"
    refused(openai.NotFoundError, lambda: client.models.retrieve("no/such-model"), code="model_not_found", param="model")


@test
def chat(client, model):
    answer = client.chat.completions.create(model=model, messages=ask(), max_tokens=8, temperature=0)
    assert answer.id.startswith("chatcmpl-") and answer.object == "chat.completion" and answer.model == model
    assert abs(answer.created - time.time()) < 60
    choice = answer.choices[0]
    assert choice.index == 0 and choice.message.role == "assistant" and isinstance(choice.message.content, str)
    assert choice.finish_reason in ("stop", "length") and choice.logprobs is None
    usage = answer.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens and usage.completion_tokens <= 8
    assert usage.prompt_tokens_details.cached_tokens <= usage.prompt_tokens


@test
def chat_roles_and_parts(client, model):
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "name": "eve", "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": "three"},
        {"role": "user", "content": "Go on. 🌊"},
    ]
    assert client.chat.completions.create(model=model, messages=messages, max_tokens=2).choices[0].message


@test
def max_completion_tokens_bounds_the_answer(client, model):
    answer = client.chat.completions.create(
        model=model, messages=ask(), max_completion_tokens=3, extra_body={"ignore_eos": True}
    )
    assert answer.usage.completion_tokens == 3 and answer.choices[0].finish_reason == "length"


@test
def chat_stream_equals_whole_answer(client, model):
    wanted = dict(model=model, messages=ask(), max_tokens=24, temperature=0.8, seed=11)
    whole = client.chat.completions.create(**wanted)
    chunks = list(client.chat.completions.create(**wanted, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(chunk.id == chunks[0].id and chunk.object == "chat.completion.chunk" for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks[:-1])
    assert text == whole.choices[0].message.content, (text, whole.choices[0].message.content)


@test
def stream_helper(client, model):
    with client.chat.completions.stream(model=model, messages=ask(), max_tokens=8, seed=3) as stream:
        for _ in stream:
            pass
        final = stream.current_completion_snapshot
    again = client.chat.completions.create(model=model, messages=ask(), max_tokens=8, seed=3)
    assert final.choices[0].message.content == again.choices[0].message.content


@test
def completion_stream_equals_whole_answer(client, model):
    wanted = dict(model=model, prompt="The sea is", max_tokens=24, temperature=0.8, seed=12)
    whole = client.completions.create(**wanted)
    assert whole.id.startswith("cmpl-") and whole.object == "text_completion"
    chunks = list(client.completions.create(**wanted, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason


@test
def seeds_decide(client, model):
    def answer(seed):
        made = client.completions.create(
            model=model, prompt="Once", max_tokens=16, temperature=1, seed=seed, extra_body={"ignore_eos": True}
        )
        return made.choices[0].text

    assert answer(5) == answer(5)
    assert len({answer(seed) for seed in range(6)}) > 1


@test
def choices_of_n(client, model):
    wanted = dict(model=model, messages=ask(), max_tokens=8, temperature=1, seed=21)
    many = client.chat.completions.create(**wanted, n=3)
    assert [choice.index for choice in many.choices] == [0, 1, 2]
    alone = client.chat.completions.create(**wanted)
    assert many.choices[0].message.content == alone.choices[0].message.content
    assert many.usage.prompt_tokens == alone.usage.prompt_tokens
    texts = ["", "", ""]
    for chunk in client.chat.completions.create(**wanted, n=3, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in many.choices]


@test
def prompts_in_every_form(client, model):
    tokens = client.post("/../tokenize", body={"model": model, "prompt": "The sea"}, cast_to=object)["tokens"]
    wanted = dict(model=model, max_tokens=6, temperature=0)
    text = client.completions.create(prompt="The sea", **wanted).choices[0].text
    assert client.completions.create(prompt=tokens, **wanted).choices[0].text == text
    for prompts in (["The sea", "The sea"], [tokens, tokens]):
        batch = client.completions.create(prompt=prompts, **wanted)
        assert [choice.text for choice in batch.choices] == [text, text]
        assert [choice.index for choice in batch.choices] == [0, 1]


@test
def stop_strings_end_the_answer(client, model):
    wanted = dict(model=model, prompt="Once upon", max_tokens=24, temperature=0, extra_body={"ignore_eos": True})
    text = client.completions.create(**wanted).choices[0].text
    stop = text[6:8]
    stopped = client.completions.create(**wanted, stop=stop)
    assert stopped.choices[0].text == text[: text.index(stop)] and stopped.choices[0].finish_reason == "stop"
    streamed = client.completions.create(**wanted, stop=["never in it", stop], stream=True)
    assert "".join(chunk.choices[0].text for chunk in streamed) == stopped.choices[0].text
    kept = client.completions.create(
        **{**wanted, "extra_body": {"ignore_eos": True, "include_stop_str_in_output": True}}, stop=stop
    )
    assert kept.choices[0].text == text[: text.index(stop)] + stop


@test
def chat_logprobs(client, model):
    wanted = dict(
        model=model, messages=ask(), max_tokens=5, temperature=0, logprobs=True, top_logprobs=4, extra_body={"ignore_eos": True}
    )
    content = client.chat.completions.create(**wanted).choices[0].logprobs.content
    assert len(content) == 5
    for entry in content:
        assert entry.logprob <= 0 and len(entry.top_logprobs) == 4
        assert entry.logprob == entry.top_logprobs[0].logprob  # greedy: the likeliest
        assert all(a.logprob >= b.logprob for a, b in zip(entry.top_logprobs, entry.top_logprobs[1:]))
        assert bytes(entry.bytes).decode(errors="replace") == entry.token
    streamed = []
    for chunk in client.chat.completions.create(**wanted, stream=True):
        if chunk.choices[0].logprobs:
            streamed += chunk.choices[0].logprobs.content
    assert [entry.logprob for entry in streamed] == [entry.logprob for entry in content]


@test
def completion_logprobs_and_echo(client, model):
    prompt = "The sea is deep"
    answer = client.completions.create(model=model, prompt=prompt, max_tokens=1, temperature=0, logprobs=3, echo=True)
    choice = answer.choices[0]
    logprobs = choice.logprobs
    count = answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert choice.text.startswith(prompt)
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs) == count
    assert len(logprobs.text_offset) == count
    assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
    for value, top in zip(logprobs.token_logprobs[1:], logprobs.top_logprobs[1:]):
        assert value <= 0 and max(top.values()) >= value and 1 <= len(top) <= 4
    for token, offset in zip(logprobs.tokens, logprobs.text_offset[:-1]):
        assert choice.text[offset:].startswith(token), (token, offset)
    scored = client.completions.create(model=model, prompt=prompt, max_tokens=0, logprobs=0, echo=True).choices[0]
    assert scored.text == prompt and scored.logprobs.token_logprobs == logprobs.token_logprobs[:-1]


@test
def logit_bias_decides(client, model):
    token = client.post("/../tokenize", body={"prompt": "x"}, cast_to=object)["tokens"][0]
    answer = client.completions.create(model=model, prompt="abc", max_tokens=4, logit_bias={str(token): 100})
    assert answer.choices[0].text == "xxxx"


@test
def penalties_and_ranges_are_accepted(client, model):
    client.chat.completions.create(
        model=model, messages=ask(), max_tokens=2, top_p=0.9, presence_penalty=1, frequency_penalty=-1, user="someone",
        extra_body={"top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1, "min_tokens": 1, "an_extra": 1,
                    "troupe": {"ttft_ms": 60000, "priority": 1}},
        extra_headers={"x-troupe-tpot-ms": "10000", "x-request-id": "conformance-1"},
    )  # fmt: skip


@test
def request_ids_come_back(client, model):
    raw = client.chat.completions.with_raw_response.create(
        model=model, messages=ask(), max_tokens=1, extra_headers={"x-request-id": "conformance-2"}
    )
    assert raw.headers["x-request-id"] == "conformance-2"
    assert raw.parse()._request_id == "conformance-2"


@test
def errors_have_their_classes(client, model):
    create = client.chat.completions.create
    bad, missing = openai.BadRequestError, openai.NotFoundError
    refused(missing, lambda: create(model="none", messages=ask()), code="model_not_found", param="model")
    refused(bad, lambda: create(model=model, messages=[]), param="messages", type="invalid_request_error")
    refused(bad, lambda: create(model=model, messages=[{"role": "robot", "content": ""}]), param="messages[0].role")
    refused(bad, lambda: create(model=model, messages=ask(), temperature="hot"), param="temperature")
    refused(bad, lambda: create(model=model, messages=ask(), n=1000), param="n")
    refused(bad, lambda: create(model=model, messages=ask(), response_format={"type": "yaml"}), param="response_format.type")
    refused(bad, lambda: create(model=model, messages=ask("x " * 200_000)), code="context_length_exceeded")
    refused(bad, lambda: client.completions.create(model=model, prompt="x", suffix="y"), param="suffix")
    refused(bad, lambda: client.completions.create(model=model, prompt=[10**9]), param="prompt")
    refused(bad, lambda: client.embeddings.create(model=model, input="x"), code="unsupported_value", param="model")
    refused(missing, lambda: client.post("/nothing", body={}, cast_to=object), code="not_found")


@test
def embeddings(client, model):
    others = [served.id for served in client.models.list() if served.id != model]
    if not others:
        return  # a server without such a model; what it says is tested above
    texts = ["The sea is blue.", "The ocean is blue.", "Interest rates rose."]
    made = client.embeddings.create(model=others[0], input=texts)  # in base64, as the client asks unless told otherwise
    assert made.object == "list" and made.model == others[0] and [item.index for item in made.data] == [0, 1, 2]
    assert made.usage.prompt_tokens == made.usage.total_tokens > len(texts)
    vectors = [item.embedding for item in made.data]
    assert all(abs(math.hypot(*vector) - 1) < 1e-5 for vector in vectors)
    plain = client.embeddings.create(model=others[0], input=texts[1], encoding_format="float").data[0].embedding
    floats = [array.array("f", vector) for vector in (plain, vectors[1])]
    assert floats[0] == floats[1], "alone and in company, in numbers and in base64, a text has the same vector"
    shorter = client.embeddings.create(model=others[0], input=texts[1], dimensions=4).data[0].embedding
    assert len(shorter) == 4 and abs(math.hypot(*shorter) - 1) < 1e-5
    bad = openai.BadRequestError
    refused(bad, lambda: client.embeddings.create(model=others[0], input=""), type="invalid_request_error")
    refused(bad, lambda: client.embeddings.create(model=others[0], input="x " * 10_000), code="context_length_exceeded")
    refused(bad, lambda: client.embeddings.create(model=others[0], input="x", dimensions=10**6), param="dimensions")


@test
def a_wrong_key_is_refused_where_keys_are_set(client, model):
    wrong = openai.OpenAI(base_url=client.base_url, api_key="wrong", max_retries=0)
    if client.api_key == "none":
        assert wrong.models.list()
    else:
        refused(openai.AuthenticationError, wrong.models.list, code="invalid_api_key")


@test
def a_stream_can_be_left(client, model):
    for _ in range(4):
        with client.chat.completions.create(
            model=model, messages=ask(), max_tokens=2000, stream=True, extra_body={"ignore_eos": True}
        ) as stream:
            next(iter(stream))
    deadline = time.time() + 5
    running = math.inf
    while running > 0 and time.time() < deadline:
        running = client.get("/../health", cast_to=object)["requests_running"]
        time.sleep(0.05)
    assert running == 0, f"{running} requests still run after their clients left"


@test
def async_client(client, model):
    async def main():
        asynchronous = openai.AsyncOpenAI(base_url=client.base_url, api_key=client.api_key, max_retries=0)

        async def text(seed):
            stream = await asynchronous.chat.completions.create(
                model=model, messages=ask(), max_tokens=12, seed=seed, stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

        together = await asyncio.gather(*(text(seed) for seed in range(8)))
        assert together == [await text(seed) for seed in range(8)]

    asyncio.run(main())


if __name__ == "__main__":
    sys.exit(suite.main(__doc__))
