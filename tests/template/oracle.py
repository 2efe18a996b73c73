#!/usr/bin/env python3
"""Compares render_template with jinja2, set up as Hugging Face's transformers sets it up for chat templates.

    oracle.py RENDER_TEMPLATE DATA_FOLDER

DATA_FOLDER/templates/*.jinja are rendered with every list of messages below, and every snippet of snippets.py with its context.
Both sides must give the same text, or both must fail. Exits 77, which CTest counts as skipped, when jinja2 is not installed.
TROUPE_TEST_MODEL names a GGUF file whose own template is compared as well.
"""
import functools
import json
import os
import pathlib
import struct
import subprocess
import sys

try:
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment
except ImportError:
    print("jinja2 is not installed for this Python: nothing is compared")
    sys.exit(77)

from snippets import SNIPPETS

NOW = 1718454896  # 15 June 2024, 12:34:56 UTC


class GenerationTag(Extension):
    """{% generation %} marks the assistant's tokens for training; for text it is a block of its own scope."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_content")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _content(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def strftime_now(format):
    import datetime

    return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(format)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def make_environment():
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    return environment


ENVIRONMENT = make_environment()


@functools.lru_cache(maxsize=None)
def compiled(source):
    return ENVIRONMENT.from_string(source)


def with_jinja2(source, context):
    try:
        return {"text": compiled(source).render(**context)}
    except Exception as failure:  # any failure of the oracle is an outcome to compare
        return {"error": f"{type(failure).__name__}: {failure}"}


def user(content):
    return {"role": "user", "content": content}


def assistant(content, **more):
    return {"role": "assistant", "content": content, **more}


def system(content):
    return {"role": "system", "content": content}


def call(name, arguments, id="call00001"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


WEATHER_CALL = call("get_weather", {"city": "Zürich", "days": 3, "hourly": False, "note": None})
CONVERSATIONS = {
    "hello": [user("Hello!")],
    "system": [system("You are terse."), user("Hello!")],
    "turns": [user("One"), assistant("Two"), user("Three"), assistant("Four"), user("Five")],
    "system_turns": [system(" padded \n"), user("  One "), assistant("\nTwo\n"), user("Three")],
    "empty": [user("")],
    "empty_system": [system(""), user("x")],
    "unicode": [system("日本語で。"), user("naïve café 🎭 e\u0301 \u200b end"), assistant("ß İ ǆ"), user("ok")],
    "braces": [user("{{ messages }} {% if x %} {# no #} }} %}"), assistant("{\"a\": [1, 2]}"), user("'\"\\\n\t")],
    "whitespace": [user("\n\n  indented\n\n"), assistant("   "), user("\ttab")],
    "thinking": [user("2+2?"), assistant("<think>\nadd them\n</think>\n\n4"), user("sure?")],
    "reasoning": [user("2+2?"), assistant("4", reasoning_content="add\nthem"), user("sure?"), assistant("yes", reasoning_content="")],
    "none_content": [user("weather?"), assistant(None, tool_calls=[WEATHER_CALL]), {"role": "tool", "content": "sunny"}],
    "tools": [system("Use tools."), user("weather in Zürich?"), assistant("", tool_calls=[WEATHER_CALL]),
              {"role": "tool", "name": "get_weather", "content": "{\"temp\": 21.5}", "tool_call_id": "call00001"},
              assistant("21.5 degrees."), user("thanks")],
    "two_tools": [user("both?"), assistant("Let me see.", tool_calls=[WEATHER_CALL, call("now", {}, "call00002")]),
                  {"role": "tool", "name": "get_weather", "content": "rain", "tool_call_id": "call00001"},
                  {"role": "tool", "name": "now", "content": "noon", "tool_call_id": "call00002"}, user("so?")],
    "text_arguments": [user("go"), assistant("", tool_calls=[call("run", "{\"a\": 1}")]), {"role": "ipython", "content": "done"}],
    "tool_object": [user("go"), {"role": "tool", "content": {"deep": [1, 2.5, {"x": None}], "ok": True}}],
    "parts": [user([{"type": "text", "text": "What is this?"}, {"type": "image"}, {"type": "text", "text": " And that?"}])],
    "assistant_first": [assistant("Hi"), user("Hello")],
    "two_users": [user("a"), user("b")],
    "unknown_role": [{"role": "narrator", "content": "Once"}],
    "developer": [{"role": "developer", "content": "Be brief."}, user("x")],
    "assistant_last": [user("Write"), assistant("Once upon a")],
    "missing_content": [{"role": "user"}],
    "missing_role": [{"content": "who?"}],
    "html": [user("<b>&amp;</b> 'q' \"d\"")],
    "nothing": [],
}
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city.\nUse it.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city \"name\" <é>"},
                "days": {"type": "integer", "default": 1, "enum": [1, 3, 7]},
                "place": {"type": "object", "properties": {"lat": {"type": ["number", "null"]}, "lon": {"type": "number"}}},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["city"],
        },
    },
}
NOW_TOOL = {"type": "function", "function": {"name": "now", "description": "Time", "parameters": {"type": "object", "properties": {}}}}
BASE = {"bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": True}
VARIANTS = {
    "plain": {},
    "no_prompt": {"add_generation_prompt": False},
    "tools": {"tools": [WEATHER_TOOL, NOW_TOOL]},
    "no_tools": {"tools": None},
    "thinking_off": {"enable_thinking": False, "tools": [NOW_TOOL]},
    "dated": {"date_string": "01 Jan 2025", "builtin_tools": ["brave_search", "code_interpreter"], "tools_in_user_message": False,
              "tools": [WEATHER_TOOL], "documents": [{"title": "A", "text": "b"}]},
}


def template_of_gguf(path):
    """tokenizer.chat_template of a GGUF file, or None."""
    sizes = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            return None
        _, _, pairs = struct.unpack("<IQQ", file.read(20))

        def text():
            return file.read(struct.unpack("<Q", file.read(8))[0])

        def skip(kind):
            if kind == 8:
                text()
            elif kind == 9:
                item, count = struct.unpack("<IQ", file.read(12))
                for _ in range(count):
                    skip(item)
            else:
                file.seek(sizes[kind], 1)

        for _ in range(pairs):
            key = text()
            kind = struct.unpack("<I", file.read(4))[0]
            if key == b"tokenizer.chat_template" and kind == 8:
                return text().decode()
            skip(kind)
    return None


def templates(data):
    found = {path.stem: path.read_text() for path in sorted((data / "templates").glob("*.jinja"))}
    model = os.environ.get("TROUPE_TEST_MODEL")
    if model and os.path.exists(model):
        own = template_of_gguf(model)
        if own is not None:
            found["(the model's own)"] = own
    return found


def cases(data):
    for name, source in templates(data).items():
        for conversation, messages in CONVERSATIONS.items():
            for variant, extra in VARIANTS.items():
                yield f"{name} / {conversation} / {variant}", source, {**BASE, **extra, "messages": messages}
    for source, context in SNIPPETS:
        yield f"snippet {source!r}", source, context


def main():
    program, data = sys.argv[1], pathlib.Path(sys.argv[2])
    wanted = list(cases(data))
    lines = [json.dumps({"template": source, "context": {**context, "strftime_now": NOW}}) for _, source, context in wanted]
    ran = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(answers) == len(wanted), f"{len(wanted)} cases, {len(answers)} answers"
    different = failed_alike = 0
    for (name, source, context), ours in zip(wanted, answers):
        theirs = with_jinja2(source, context)
        raised = theirs.get("error", "").removeprefix("TemplateError: ")  # raise_exception: the words must be the same as well
        if ours.get("text") == theirs.get("text") and (raised == theirs.get("error", "") or raised == ours["error"]):
            failed_alike += "error" in theirs
            continue
        different += 1
        if different <= 40:
            print(f"--- {name}\n  jinja2: {theirs}\n  ours:   {ours}")
    print(f"{len(wanted)} cases against jinja2 {jinja2.__version__}: {different} differ; both refuse {failed_alike}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
