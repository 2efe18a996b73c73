#!/usr/bin/env python3
"""lm-eval's `local-completions` against a running server, offline and as it comes: its tokenizer is the server's own
(/tokenizer_info, /tokenize), its tasks are the small ones written here.

    lm_eval_local.py BASE_URL [--least-accuracy 0.8] [--api-key KEY]

Two tasks: choices by likelihood (prompts as token ids in batches, echo, logprobs) and generation with stop strings.
"""

import argparse
import math
import os
import pathlib
import sys
import tempfile

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}  # before the imports
HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE / "lm_eval_tasks" / "common_sense.jsonl"

CHOICE = f"""
task: common_sense
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{DATA}"}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""

GENERATION = f"""
task: go_on
dataset_path: json
dataset_kwargs: {{data_files: {{test: "{DATA}"}}}}
output_type: generate_until
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{choices[answer]}}}}"
generation_kwargs: {{until: ["\\n", "."], max_gen_toks: 8}}
metric_list: [{{metric: exact_match}}]
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base_url")
    parser.add_argument("--least-accuracy", type=float, help="of the choices; chance is 0.5")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--api-key", default="")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"OPENAI_API_KEY": arguments.api_key, "HF_HOME": folder}
        return evaluate(arguments, pathlib.Path(folder))


def evaluate(arguments, folder):
    import lm_eval
    import requests
    from lm_eval.tasks import TaskManager

    base = arguments.base_url.rstrip("/")
    headers = {"Authorization": f"Bearer {arguments.api_key}"} if arguments.api_key else {}
    model = requests.get(base + "/v1/models", headers=headers, timeout=30).json()["data"][0]["id"]
    settings = {"model": model, "base_url": base + "/v1/completions", "max_retries": 1}
    if arguments.api_key:
        settings["auth_token"] = arguments.api_key
    for name, text in ("common_sense", CHOICE), ("go_on", GENERATION):
        (folder / f"{name}.yaml").write_text(text)
    results = lm_eval.simple_evaluate(
        model="local-completions", model_args=settings, tasks=["common_sense", "go_on"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        batch_size=arguments.batch_size, log_samples=True, bootstrap_iters=0,
    )  # fmt: skip
    choices, generations = results["samples"]["common_sense"], results["samples"]["go_on"]
    questions = len(DATA.read_text().splitlines())
    assert len(choices) == len(generations) == questions, (len(choices), len(generations))
    for sample in choices:
        for likelihood, is_greedy in sample["filtered_resps"]:
            assert math.isfinite(float(likelihood)) and float(likelihood) < 0, sample
            assert str(is_greedy) in ("True", "False"), sample
    for sample in generations:
        assert "\n" not in sample["filtered_resps"][0] and "." not in sample["filtered_resps"][0], sample
    accuracy = results["results"]["common_sense"]["acc,none"]
    print(f"lm-eval {lm_eval.__version__}: {questions} questions twice, accuracy of the choices {accuracy:.3f}")
    if arguments.least_accuracy is not None and accuracy < arguments.least_accuracy:
        print(f"FAILED: at least {arguments.least_accuracy} was expected")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
