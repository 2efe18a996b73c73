#!/usr/bin/env python3
"""Encoding speed on one thread, Troupe against Hugging Face's `tokenizers`, line by line over one text, the two in turns.

    bench/tokenizer_vs_hf.py [--build build/release] [--model MODEL.gguf] [--text FILE] [--json FILE] [--quick]

Hugging Face's side gets all lines in one call of encode_batch_fast with one thread, so that Python's cost for a call hardly
counts; its word cache is warm from an uncounted first round. Ids are compared before anything is timed.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import claims

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(claims.ROOT / "tests" / "tokenizer"))
import hf_tokenizer  # noqa: E402  (after the environment, which tokenizers reads)


def troupe_report(build, model, text_path):
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([build / "troupe", "bench", "tokenizer", model, "--text", text_path, "--quick", "--json", out.name],
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        return json.load(open(out.name, encoding="utf-8"))


def encode_speed(report):
    return next(c["value"] for c in report["claims"] if c["claim"] == "encode, one thread")


def same_ids(build, model, lines, encodings):
    """Through tokenize_lines, which is built with the tests."""
    data = b"".join(b"%d text\n" % len(line.encode()) + line.encode() for line in lines)
    program = build / "tests" / "tokenizer" / "tokenize_lines"
    answers = subprocess.run([program, model], input=data, stdout=subprocess.PIPE, check=True).stdout.decode().split("\n")
    return all([int(i) for i in answer.split()] == e.ids for answer, e in zip(answers, encodings, strict=False))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=claims.ROOT / "build" / "release")
    parser.add_argument("--model", help="a GGUF file; default: the pulled smollm2")
    parser.add_argument("--text", default=claims.ROOT.parent / "shared" / "data" / "wikitext2" / "valid.txt")
    parser.add_argument("--json")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if not args.model:
        found = subprocess.run([args.build / "troupe", "model", "path", "smollm2"], check=True, text=True, stdout=subprocess.PIPE)
        args.model = found.stdout.strip()

    with open(args.text, encoding="utf-8", newline="") as file:
        lines = file.readlines()
    megabytes = os.path.getsize(args.text) / 1e6
    plain, _, _ = hf_tokenizer.load(args.model)
    if not same_ids(args.build, args.model, lines, plain.encode_batch_fast(lines, add_special_tokens=False)):
        sys.exit("the two sides give different ids")

    ours, theirs = [], []
    for _ in range(3 if args.quick else 9):
        ours.append(encode_speed(troupe_report(args.build, args.model, args.text)))
        start = time.perf_counter()
        plain.encode_batch_fast(lines, add_special_tokens=False)
        theirs.append(megabytes / (time.perf_counter() - start))
    peer = f"tokenizers {hf_tokenizer.VERSION}"
    row = claims.claim("encode, one thread", "MB/s", ours, peer, theirs, 1.0)
    print(f"troupe {row['value']:.1f} MB/s, {peer} {row['peer_value']:.1f} MB/s, ratio {row['ratio']:.2f}"
          f" (n {row['n']}, spread {row['spread']:.0%} and {claims.spread(theirs):.0%})")  # fmt: skip
    if args.json:
        claims.write(args.json, "tokenizer_vs_hf", [row])


if __name__ == "__main__":
    main()
