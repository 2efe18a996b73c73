#!/usr/bin/env python3
"""Compares Troupe's logits with llama.cpp's on the same GGUF, position by position of one text longer than its window.

    llama_cpp_oracle.py --compute-logits PROGRAM --model MODEL.gguf --text FILE [--json FILE]

Greedy continuations must agree up to a step that llama.cpp itself nearly decided otherwise. Then distributions: Troupe's
exact pass (weights as floats, activations as floats) is the measure: neither side with its 8-bit activations is
the truth; that the exact pass is right shows in how near llama.cpp is to it. Exit code 77 says that something it needs is absent, 1 that Troupe is too far from it or further than
llama.cpp is.
"""

import argparse
import ctypes
import json
import os
import subprocess
import sys

ABSENT = 77
CHUNK = 32


def llama_cpp_rows(llama_cpp, numpy, path, ids, **options):
    """Logits of each position, CHUNK at a time."""
    llama = llama_cpp.Llama(path, n_ctx=len(ids), n_batch=CHUNK, n_threads=2, logits_all=False, verbose=False, **options)
    n_vocab = llama.n_vocab()
    context = llama.ctx
    batch = llama_cpp.llama_batch_init(CHUNK, 0, 1)
    for first in range(0, len(ids), CHUNK):
        part = ids[first : first + CHUNK]
        batch.n_tokens = len(part)
        for i, token in enumerate(part):
            batch.token[i] = token
            batch.pos[i] = first + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = 1
        assert llama_cpp.llama_decode(context, batch) == 0
        for i in range(len(part)):
            row = llama_cpp.llama_get_logits_ith(context, i)
            yield numpy.ctypeslib.as_array(ctypes.cast(row, ctypes.POINTER(ctypes.c_float)), (n_vocab,)).copy()


def troupe_rows(numpy, program, path, ids, kernels, precision, chunk, n_vocab):
    data = " ".join(map(str, ids)).encode()
    command = [program, path, kernels, precision, str(chunk)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        run.stdin.write(data)
        run.stdin.close()
        for _ in ids:
            row = run.stdout.read(4 * n_vocab)
            assert len(row) == 4 * n_vocab, "compute_logits ended early"
            yield numpy.frombuffer(row, dtype=numpy.float32)


PROMPTS = ["The capital of France is", "def fibonacci(n):\n", "Once upon a time, in a village by the sea,", "1, 2, 3, 5, 8,"]
GREEDY_STEPS = 24


def greedy_of_llama_cpp(llama_cpp, numpy, path, prompt):
    """Ids of the prompt and of llama.cpp's greedy continuation, and how far its best was ahead at each step."""
    llama = llama_cpp.Llama(path, n_ctx=256, n_threads=2, logits_all=True, verbose=False)
    ids = llama.tokenize(prompt.encode(), add_bos=True, special=False)
    n_prompt, margins = len(ids), []
    llama.eval(ids)
    for _ in range(GREEDY_STEPS):
        scores = llama.scores[llama.n_tokens - 1]
        best = int(scores.argmax())
        second, first = numpy.partition(scores, -2)[-2:]
        margins.append(float(first - second))
        ids = ids + [best]
        llama.eval([best])
    return n_prompt, ids, margins


def greedy_steps_alike(llama_cpp, numpy, path, troupe):
    """For each prompt how many steps agree before the first that does not, and that one's margin."""
    for prompt in PROMPTS:
        n_prompt, ids, margins = greedy_of_llama_cpp(llama_cpp, numpy, path, prompt)
        rows = troupe(ids[:-1])
        step = -1
        for position, row in enumerate(rows):
            step = position - n_prompt + 1
            if step >= 0 and int(row.argmax()) != ids[position + 1]:
                yield prompt, step, margins[step]
                break
        else:
            yield prompt, GREEDY_STEPS, None
        for _ in rows:  # lets the other side end
            pass


class distance:
    """Of one side's distributions from the exact ones."""

    def __init__(self):
        self.n = self.same = self.kl = self.nll = self.exact_nll = 0
        self.worst_kl = 0.0

    def add(self, numpy, exact, other, next_id):
        p = exact.astype(numpy.float64)
        q = other.astype(numpy.float64)
        p = p - p.max() - numpy.log(numpy.exp(p - p.max()).sum())
        q = q - q.max() - numpy.log(numpy.exp(q - q.max()).sum())
        kl = float((numpy.exp(p) * (p - q)).sum())
        self.n += 1
        self.same += int(p.argmax() == q.argmax())
        self.kl += kl
        self.worst_kl = max(self.worst_kl, kl)
        if next_id is not None:
            self.nll -= float(q[next_id])
            self.exact_nll -= float(p[next_id])

    def summary(self):
        return {"positions": self.n, "top-1 agreement": round(self.same / self.n, 4), "mean KL": self.kl / self.n,
                "worst KL": self.worst_kl, "mean nll": self.nll / (self.n - 1),
                "exact mean nll": self.exact_nll / (self.n - 1)}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--compute-logits", required=True, metavar="PROGRAM")
    parser.add_argument("--model", default=os.environ.get("TROUPE_TEST_GEMMA3", ""))
    shared = os.environ.get("TROUPE_SHARED", "")
    parser.add_argument("--text", default=os.path.join(shared, "data", "wikitext2", "valid.txt"))
    parser.add_argument("--tokens", type=int, default=640)
    parser.add_argument("--json")
    args = parser.parse_args()
    try:
        import llama_cpp
        import numpy
    except ImportError as problem:
        print(f"skipped: {problem}; pip install llama-cpp-python numpy")
        return ABSENT
    for path in (args.model, args.text):
        if not os.path.exists(path):
            print("skipped: no model or no text; set TROUPE_TEST_GEMMA3 to gemma-3-270m-q4_k_m.gguf")
            return ABSENT
    with open(args.text, "rb") as file:
        text = file.read(8 * args.tokens)
    vocabulary = llama_cpp.Llama(args.model, vocab_only=True, verbose=False)
    ids = vocabulary.tokenize(text, add_bos=True, special=False)[: args.tokens]
    n_vocab = vocabulary.n_vocab()

    def troupe(tokens, precision="stored"):
        return troupe_rows(numpy, args.compute_logits, args.model, tokens, "best", precision, CHUNK, n_vocab)

    far_apart = False
    for prompt, steps, margin in greedy_steps_alike(llama_cpp, numpy, args.model, troupe):
        far_apart = far_apart or (margin is not None and margin >= 1.0)
        print(f"{prompt!r}: {steps} of {GREEDY_STEPS} greedy steps alike" + (f", then a margin of {margin:.3f}" if margin is not None else ""))  # fmt: skip
    sides = {"llama.cpp": llama_cpp_rows(llama_cpp, numpy, args.model, ids), "troupe": troupe(ids)}
    distances = {name: distance() for name in sides}
    rows = zip(troupe(ids, "exact"), *sides.values())
    for i, (exact, *others) in enumerate(rows):
        for name, other in zip(sides, others):
            distances[name].add(numpy, exact, other, ids[i + 1] if i + 1 < len(ids) else None)
    report = {name: one.summary() for name, one in distances.items()}
    print(json.dumps(report, indent=1))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    ours, theirs = report["troupe"], report["llama.cpp"]
    good = theirs["mean KL"] < 0.1 and ours["mean KL"] <= theirs["mean KL"] and ours["top-1 agreement"] > 0.9
    return 0 if good and not far_apart else 1


if __name__ == "__main__":
    sys.exit(main())
