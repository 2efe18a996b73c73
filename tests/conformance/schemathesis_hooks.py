"""Keeps generated requests short: a schema cannot know that two billion tokens take a model days.

Only lengths that are valid as they stand are cut, so that wrong input stays wrong.
"""

import schemathesis

LENGTHS = ("max_tokens", "max_completion_tokens")
MOST_TOKENS = 4


def is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**31 - 1


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    if not isinstance(body, dict) or not ("messages" in body or "prompt" in body) or "tokenize" in case.path:
        return
    for name in (*LENGTHS, "min_tokens"):
        if is_count(body.get(name)):
            body[name] = min(body[name], MOST_TOKENS)
    if all(body.get(name) is None for name in LENGTHS):
        body["max_tokens"] = MOST_TOKENS
