#!/usr/bin/env python3
"""Real clients against a server: openai, schemathesis, aiperf and lm-eval, one after the other.

    run.py --url http://127.0.0.1:8000 [--least-accuracy 0.8]     a server that runs already, with a real model
    run.py --fake PROGRAM                                         starts tests/conformance/fake_server

Packages: requirements.txt. Exits 77 when they are absent, 1 when a client is not satisfied.
"""

import argparse
import contextlib
import importlib.util
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = {
    "openai": "openai_client.py",
    "openai_structured": "openai_structured.py",
    "schemathesis": "run_schemathesis.py",
    "aiperf": "run_aiperf.py",
    "lm_eval": "lm_eval_local.py",
}
PACKAGES = {"openai_structured": "openai"}  # where the name is not the package's
NEED_AN_ENGINE = {"openai_structured"}  # the fake server's words have no form
ABSENT = 77


@contextlib.contextmanager
def fake_server(program):
    """Its URL; it ends when its input does."""
    running = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield running.stdout.readline().strip()
    finally:
        running.stdin.close()
        running.wait(timeout=30)


def run_clients(url, arguments):
    failed = []
    for name in arguments.only:
        command = [sys.executable, str(HERE / CLIENTS[name]), url]
        if arguments.api_key:
            command += ["--api-key", arguments.api_key]
        if name == "lm_eval" and arguments.least_accuracy is not None:
            command += ["--least-accuracy", str(arguments.least_accuracy)]
        print(f"== {name}", flush=True)
        began = time.time()
        if subprocess.run(command).returncode != 0:
            failed.append(name)
        print(f"== {name}: {'FAILED' if name in failed else 'ok'} ({time.time() - began:.0f} s)", flush=True)
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url")
    where.add_argument("--fake", metavar="PROGRAM")
    parser.add_argument("--only", nargs="+", choices=CLIENTS, default=list(CLIENTS))
    parser.add_argument("--least-accuracy", type=float)
    parser.add_argument("--api-key")
    arguments = parser.parse_args()
    absent = [name for name in arguments.only if importlib.util.find_spec(PACKAGES.get(name, name)) is None]
    if absent:
        print(f"skipped: this Python lacks {', '.join(absent)}; see {HERE.name}/requirements.txt")
        return ABSENT
    if arguments.url:
        return run_clients(arguments.url, arguments)
    arguments.only = [name for name in arguments.only if name not in NEED_AN_ENGINE]
    with fake_server(arguments.fake) as url:
        return run_clients(url, arguments)


if __name__ == "__main__":
    sys.exit(main())
