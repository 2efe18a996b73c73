#!/usr/bin/env python3
"""Property-based requests against a running server, made from its own /openapi.json by schemathesis.

    run_schemathesis.py BASE_URL [--cases 1000] [--seed 1] [--api-key KEY]

Fails on a 5xx, on a status, header or body that the document does not describe, on wrong input that is taken, and when fewer
cases than asked for were run. Only positive_data_acceptance is left out: rules between two fields ("top_logprobs only with
logprobs") are no part of a JSON schema.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
OPERATIONS = 13  # of the document; a case for each of them costs one example


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url")
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--api-key")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = pathlib.Path(folder) / "report.json"
        command = [
            str(pathlib.Path(sys.executable).parent / "st"), "run", arguments.base_url.rstrip("/") + "/openapi.json",
            "--checks", "all", "--exclude-checks", "positive_data_acceptance", "--phases", "coverage,fuzzing",
            "--max-examples", str(max(1, arguments.cases // OPERATIONS)), "--seed", str(arguments.seed),
            "--request-timeout", "60", "--continue-on-failure", "--warnings", "off", "--no-color",
            "--report-json-path", str(report),
        ]  # fmt: skip
        if arguments.api_key:
            command += ["--header", f"Authorization: Bearer {arguments.api_key}"]
        # The tool leaves a cache of examples where it runs; it is not wanted from one run to the next.
        environment = os.environ | {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(HERE)}
        outcome = subprocess.run(command, cwd=folder, env=environment)
        cases = json.loads(report.read_text())["test_cases"]
    print(f"schemathesis: {cases['generated']} cases, {cases['with_failures']} with failures, {cases['errored']} errors")
    if cases["generated"] < arguments.cases:
        print(f"FAILED: at least {arguments.cases} cases were wanted")
        return 1
    return outcome.returncode


if __name__ == "__main__":
    sys.exit(main())
