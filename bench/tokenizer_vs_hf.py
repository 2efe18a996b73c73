#!/usr/bin/env python3
"""Encoding speed on one thread, Troupe against Hugging Face's `tokenizers`, line by line over one text, the two in turns.

    bench/tokenizer_vs_hf.py --bench build/release/bench/bench_tokenizer --model MODEL.gguf [--text FILE] [--json FILE] [--quick]

Hugging Face's side gets all lines in one call of encode_batch_fast with one thread, so that Python's cost for a call hardly
counts; its word cache is warm from an uncounted first round. Ids are compared before anything is timed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "tokenizer"))
import hf_tokenizer  # noqa: E402  (after the environment, which tokenizers reads)


def troupe_report(bench, model, text_path):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "report.json")
        command = [bench, "--model", model, "--text", text_path, "--quick", "--json", path]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with open(path, encoding="utf-8") as file:
            return json.load(file)


def encode_speed(report):
    return next(c["value"] for c in report["claims"] if c["claim"] == "encode, one thread")


def same_ids(bench, model, lines, encodings):
    """Through tokenize_lines, which is built beside the benchmark."""
    program = os.path.join(os.path.dirname(os.path.dirname(bench)), "tests", "tokenizer", "tokenize_lines")
    data = b"".join(b"%d text\n" % len(line.encode()) + line.encode() for line in lines)
    answers = subprocess.run([program, model], input=data, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    return all([int(i) for i in answer.split()] == e.ids for answer, e in zip(answers, encodings, strict=False))


def spread(samples):
    low, _, high = statistics.quantiles(samples, n=4)
    return (high - low) / 2 / statistics.median(samples)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bench", required=True, help="the program bench_tokenizer")
    parser.add_argument("--model", default=os.environ.get("TROUPE_TEST_MODEL"), required="TROUPE_TEST_MODEL" not in os.environ)
    parser.add_argument("--text", default=os.path.join(ROOT, "..", "shared", "data", "wikitext2", "valid.txt"))
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()

    with open(args.text, encoding="utf-8", newline="") as file:
        lines = file.readlines()
    megabytes = os.path.getsize(args.text) / 1e6
    plain, _, _ = hf_tokenizer.load(args.model)
    if not same_ids(args.bench, args.model, lines, plain.encode_batch_fast(lines, add_special_tokens=False)):
        sys.exit("the two sides give different ids")

    ours, theirs = [], []
    for _ in range(3 if args.quick else 9):
        report = troupe_report(args.bench, args.model, args.text)
        ours.append(encode_speed(report))
        start = time.perf_counter()
        plain.encode_batch_fast(lines, add_special_tokens=False)
        theirs.append(megabytes / (time.perf_counter() - start))
    value, peer = statistics.median(ours), statistics.median(theirs)
    claim = {"claim": "encode, one thread, against Hugging Face tokenizers", "system": "troupe", "value": value, "unit": "MB/s",
             "peer": f"tokenizers {hf_tokenizer.VERSION}", "peer_value": peer, "ratio": value / peer, "bound": None,
             "share_of_bound": None, "target": peer, "ok": value >= peer, "n": len(ours), "spread": spread(ours)}  # fmt: skip
    print(f"troupe {value:.1f} MB/s, {claim['peer']} {peer:.1f} MB/s, ratio {claim['ratio']:.2f}"
          f" (n {len(ours)}, spread {100 * claim['spread']:.0f} % and {100 * spread(theirs):.0f} %)")  # fmt: skip
    if args.json:
        result = {"bench": "tokenizer_vs_hf", "command": " ".join(sys.argv), "machine": report["machine"],
                  "commit": report["commit"], "claims": [claim]}  # fmt: skip
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
