#!/usr/bin/env python3
"""Compares Troupe's logits with llama.cpp's on the same GGUF, position by position of one text longer than its window.

    llama_cpp_oracle.py --compute-logits PROGRAM --model MODEL.gguf --text FILE [--json FILE]

Troupe's exact pass (weights as floats, activations as floats) is the measure: neither side with its 8-bit activations is
the truth. Exit code 77 says that something it needs is absent, 1 that Troupe is too far from it or further than
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


def llama_cpp_rows(llama_cpp, numpy, path, ids):
    """Logits of each position, CHUNK at a time."""
    llama = llama_cpp.Llama(path, n_ctx=len(ids), n_batch=CHUNK, n_threads=2, logits_all=False, verbose=False)
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

    def troupe(kernels, precision, chunk):
        return troupe_rows(numpy, args.compute_logits, args.model, ids, kernels, precision, chunk, n_vocab)

    sides = {"llama.cpp": llama_cpp_rows(llama_cpp, numpy, args.model, ids), "troupe": troupe("best", "stored", CHUNK)}
    distances = {name: distance() for name in sides}
    rows = zip(troupe("best", "exact", CHUNK), *sides.values())
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
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
