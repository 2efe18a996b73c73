"""Tests of the official `openai` client against a running server: how they are collected and run."""

import argparse
import time
import traceback

import openai


def ask(text="Say a word about the sea."):
    return [{"role": "user", "content": text}]


def refused(kind, call, **fields):
    """The call raises this class of the client's exceptions, with the fields of the error object."""
    try:
        call()
    except kind as error:
        for name, value in fields.items():
            assert getattr(error, name) == value, f"{name} is {getattr(error, name)!r}, not {value!r}"
        assert set(error.body) == {"message", "type", "param", "code"}, error.body
        assert error.message and error.request_id
        return
    raise AssertionError(f"expected {kind.__name__}, but the call succeeded")


class client_suite:
    def __init__(self):
        self.tests = []

    def test(self, function):
        """A decorator. The test gets the client and the name of the model."""
        self.tests.append(function)
        return function

    def main(self, description):
        """Runs all tests. Returns 1 when one failed."""
        parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("base_url")
        parser.add_argument("--api-key", default="none")
        arguments = parser.parse_args()
        client = openai.OpenAI(
            base_url=arguments.base_url.rstrip("/") + "/v1", api_key=arguments.api_key, max_retries=0, timeout=120
        )
        model = client.models.list().data[0].id
        failed = 0
        for run in self.tests:
            began = time.time()
            try:
                run(client, model)
                print(f"ok     {run.__name__} ({time.time() - began:.2f} s)")
            except Exception:  # every failure is reported, whatever it is
                failed += 1
                print(f"FAILED {run.__name__}\n{traceback.format_exc()}")
        print(f"openai {openai.__version__}: {len(self.tests) - failed} of {len(self.tests)} passed")
        return 1 if failed else 0
