#!/usr/bin/env python3
"""The official `openai` client asking for JSON and for calls of tools, against a server with a real engine.

    openai_structured.py BASE_URL [--api-key KEY]

Needs no particular model: whatever it is, its answers have the form that was asked for. Exits 1 with the tests that
failed.
"""

import json
import sys
from typing import Literal

import openai
import pydantic

from client_suite import ask, client_suite, refused

suite = client_suite()
test = suite.test

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "maxLength": 30}, "unit": {"enum": ["C", "F"]}},
            "required": ["city", "unit"],
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}


class Person(pydantic.BaseModel):
    name: str
    age: int
    mood: Literal["calm", "angry"]


def choice_of(answer):
    return answer.choices[0]


@test
def json_object(client, model):
    for seed in range(5):
        answer = client.chat.completions.create(
            model=model, messages=ask("Describe a cat as JSON."), response_format={"type": "json_object"}, seed=seed, max_tokens=80
        )
        assert choice_of(answer).finish_reason == "stop"
        assert isinstance(json.loads(choice_of(answer).message.content), dict)


@test
def parse_gives_objects_of_the_class(client, model):
    for seed in range(5):
        answer = client.chat.completions.parse(
            model=model, messages=ask("Describe a person."), response_format=Person, seed=seed, max_tokens=100
        )
        person = choice_of(answer).message.parsed
        assert isinstance(person, Person) and person.mood in ("calm", "angry"), person


@test
def a_stream_of_json_is_the_whole_answer(client, model):
    options = dict(model=model, messages=ask("Describe a person."), seed=3, max_tokens=100)
    with client.chat.completions.stream(**options, response_format=Person) as stream:
        for event in stream:
            pass
        streamed = stream.get_final_completion()
    whole = client.chat.completions.parse(**options, response_format=Person)
    assert choice_of(streamed).message.parsed == choice_of(whole).message.parsed


@test
def grammars_of_other_servers(client, model):
    def complete(**body):
        return client.completions.create(model=model, prompt="The answer is ", max_tokens=40, extra_body=body).choices[0].text

    assert complete(grammar='root ::= "yes" | "no"') in ("yes", "no")
    assert complete(guided_choice=["red", "green"]) in ("red", "green")
    assert complete(structured_outputs={"choice": ["été", "l'hiver"]}) in ("été", "l'hiver")
    assert isinstance(json.loads(complete(guided_json={"type": "integer", "minimum": 3})), int)
    assert json.loads(complete(json_schema={"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 3}))


@test
def a_call_is_made_when_it_must_be(client, model):
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        for seed in range(3):
            answer = client.chat.completions.create(
                model=model,
                messages=ask("What is the weather in Rome?"),
                tools=[WEATHER, CLOCK],
                tool_choice=choice,
                seed=seed,
                max_tokens=150,
            )
            made = choice_of(answer)
            assert made.finish_reason == "tool_calls" and made.message.tool_calls, made
            for call in made.message.tool_calls:
                arguments = json.loads(call.function.arguments)
                assert call.type == "function" and call.id
                assert call.function.name in ("get_weather", "get_time")
                if call.function.name == "get_weather":
                    assert set(arguments) == {"city", "unit"} and arguments["unit"] in ("C", "F")
            if choice != "required":
                assert [call.function.name for call in made.message.tool_calls] == ["get_weather"]


@test
def streamed_calls_equal_whole_ones(client, model):
    options = dict(
        model=model, messages=ask("The weather in Oslo?"), tools=[WEATHER], tool_choice="required", seed=1, max_tokens=150
    )
    whole = choice_of(client.chat.completions.create(**options)).message.tool_calls
    made = {}
    for chunk in client.chat.completions.create(**options, stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            entry = made.setdefault(call.index, ["", ""])
            entry[0] += call.function.name or ""
            entry[1] += call.function.arguments or ""
    assert [[call.function.name, call.function.arguments] for call in whole] == [made[i] for i in sorted(made)]


@test
def tools_do_not_have_to_be_called(client, model):
    answer = client.chat.completions.create(model=model, messages=ask("Say hello."), tools=[WEATHER], max_tokens=60, seed=1)
    made = choice_of(answer)
    assert made.finish_reason in ("stop", "length", "tool_calls")
    assert made.message.content or made.message.tool_calls


@test
def a_conversation_goes_on_after_a_call(client, model):
    messages = ask("What is the weather in Rome?")
    answer = client.chat.completions.create(
        model=model, messages=messages, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False, max_tokens=150, seed=2
    )
    message = choice_of(answer).message
    assert len(message.tool_calls) == 1
    messages.append(message.model_dump(exclude_none=True))
    messages.append({"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "Sunny, 31 C"})
    answer = client.chat.completions.create(model=model, messages=messages, tools=[WEATHER], tool_choice="none", max_tokens=30)
    assert choice_of(answer).message.content and not choice_of(answer).message.tool_calls


@test
def what_cannot_be_is_refused(client, model):
    def create(**more):
        return lambda: client.chat.completions.create(model=model, messages=ask(), **more)

    def schema(value):
        return {"type": "json_schema", "json_schema": {"name": "s", "schema": value}}

    bad = openai.BadRequestError
    for value in ({"not": {}}, {"type": "thing"}, {"enum": []}, {"$ref": "#"}, {"minimum": 5, "maximum": 1, "type": "integer"}):
        refused(bad, create(response_format=schema(value)), param="response_format", type="invalid_request_error")
    refused(bad, create(extra_body={"grammar": 'root ::= "a" other'}), param="grammar")
    refused(bad, create(extra_body={"grammar": 'root ::= root "a"'}), param="grammar")
    refused(bad, create(tool_choice="required"), param="tool_choice")
    refused(bad, create(tools=[WEATHER], response_format={"type": "json_object"}), param="tools")


if __name__ == "__main__":
    sys.exit(suite.main(__doc__))
