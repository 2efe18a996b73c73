#!/usr/bin/env python3
"""The engine against llama.cpp: same GGUF file, same threads, same machine, one run, rounds taken in turn.

    bench/vs_llama_cpp.py [--model FILE] [--requantise] [--kernels avx2] [--troupe build/release/troupe] [--threads 2] [--rounds 5]
                          [--json FILE] [--quick]

llama.cpp is llama-cpp-python from PyPI; install it natively built to be fair to it:

    CMAKE_ARGS=-DGGML_NATIVE=ON pip install --no-binary llama-cpp-python llama-cpp-python==0.3.36 numpy

Both sides do the same work: decode rows draw tokens one by one greedily with the given context before them; prefill rows
compute a prompt of fixed random tokens and the logits of its last position; load is from the file, in the page cache, to
the first token of a short prompt; memory is what the process has at most with 16 sequences of 512 tokens, for llama.cpp
without what Python had before it loaded the model. Medians over the rounds; the spread is half the distance between the
quartiles, as a share of the median.

--requantise: llama.cpp's own quantizer makes Q4_0 of the file first, the format that it repacks for its fastest kernels,
and both sides run that. --kernels holds Troupe to an instruction set: give --python a llama.cpp that is built for the same
(-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON).
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time

import claims

# name, kind, prompt tokens, sequences, how many times better Troupe must be with SmolLM2's Q4_1; with another file: ahead
ROWS = [
    ("peak_memory_16_sequences_of_512", "memory", 448, 16, None),
    ("load_to_first_token", "load", 16, 1, None),
    ("decode_batch1_context16", "decode", 16, 1, 2.0),
    ("decode_batch1_context2048", "decode", 2048, 1, 3.0),
    ("decode_batch16_context128", "decode", 128, 16, 3.0),
    ("decode_batch32_context128", "decode", 128, 32, 3.5),
    ("prefill_128", "prefill", 128, 1, 2.5),
    ("prefill_512", "prefill", 512, 1, 2.5),
    ("prefill_2048", "prefill", 2048, 1, 2.5),
]
UNITS = {"memory": "MiB", "load": "s"}
TARGET_MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
DECODE_TOKENS = 64


def resident_mib(key: str) -> float:
    """VmRSS (now) or VmHWM (at most) of this process."""
    for line in open("/proc/self/status", encoding="ascii"):
        if line.startswith(key + ":"):
            return int(line.split()[1]) / 1024
    return 0.0


def llama_round(model_path: str, threads: int) -> dict[str, float]:
    """One round of all rows in llama.cpp, in this process. Returns tokens a second by row."""
    import llama_cpp
    import numpy

    silent = llama_cpp.llama_log_callback(lambda *_: None)  # must outlive the calls
    llama_cpp.llama_log_set(silent, None)
    llama_cpp.llama_backend_init()

    def load():
        loaded = llama_cpp.llama_model_load_from_file(model_path.encode(), llama_cpp.llama_model_default_params())
        return loaded or sys.exit(f"llama.cpp cannot load {model_path}")

    resident_before = resident_mib("VmRSS")
    model = load()
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))

    def new_context(n_context: int, n_sequences: int, model=model):
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = n_context * n_sequences
        parameters.n_batch = 2048
        parameters.n_ubatch = 512
        parameters.n_seq_max = n_sequences
        parameters.n_threads = parameters.n_threads_batch = threads
        return llama_cpp.llama_init_from_model(model, parameters)

    def fill(batch, tokens, first_position, sequence, want_logits, start=0):
        for i, token in enumerate(tokens):
            j = start + i
            batch.token[j] = token
            batch.pos[j] = first_position + i
            batch.n_seq_id[j] = 1
            batch.seq_id[j][0] = sequence
            batch.logits[j] = want_logits and i == len(tokens) - 1

    def prefill(context, batch, tokens, sequence):
        for begin in range(0, len(tokens), 512):
            part = tokens[begin:begin + 512]
            fill(batch, part, begin, sequence, begin + 512 >= len(tokens))
            batch.n_tokens = len(part)
            if llama_cpp.llama_decode(context, batch) != 0:
                sys.exit("llama_decode failed")

    def argmax(context, index):
        logits = llama_cpp.llama_get_logits_ith(context, index)
        return int(numpy.ctypeslib.as_array(logits, (vocabulary,)).argmax())

    rates = {}
    generator = random.Random(7)
    for name, kind, n_prompt, n_sequences, _ in ROWS:
        context = new_context(n_prompt + DECODE_TOKENS + 64, n_sequences)
        batch = llama_cpp.llama_batch_init(max(512, n_sequences), 0, 1)
        prompts = [[generator.randrange(100, vocabulary) for _ in range(n_prompt)] for _ in range(n_sequences)]
        if kind == "prefill":
            fill(batch, prompts[0][:8], 0, 0, True)  # warm
            batch.n_tokens = 8
            llama_cpp.llama_decode(context, batch)
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
            start = time.perf_counter()
            prefill(context, batch, prompts[0], 0)
            argmax(context, -1)
            rates[name] = n_prompt / (time.perf_counter() - start)
        elif kind == "load":
            start = time.perf_counter()
            again = load()
            short = new_context(512, 1, again)
            prefill(short, batch, prompts[0], 0)
            argmax(short, -1)
            rates[name] = time.perf_counter() - start
            llama_cpp.llama_free(short)
            llama_cpp.llama_model_free(again)
        else:
            last = []
            for sequence, prompt in enumerate(prompts):
                prefill(context, batch, prompt, sequence)
                last.append(argmax(context, -1))
            start = time.perf_counter()
            for step in range(DECODE_TOKENS):
                for sequence, token in enumerate(last):
                    fill(batch, [token], n_prompt + step, sequence, True, start=sequence)
                batch.n_tokens = n_sequences
                if llama_cpp.llama_decode(context, batch) != 0:
                    sys.exit("llama_decode failed")
                last = [argmax(context, i) for i in range(n_sequences)]
            rates[name] = DECODE_TOKENS * n_sequences / (time.perf_counter() - start)
            if kind == "memory":  # the first row: what is at most in memory stays so
                rates[name] = resident_mib("VmHWM") - resident_before
        llama_cpp.llama_batch_free(batch)
        llama_cpp.llama_free(context)
    return rates


def requantise(arguments, folder: str) -> str:
    """The model as Q4_0, by llama.cpp's quantizer, in a process of its own."""
    target = os.path.join(folder, "q4_0.gguf")
    script = (
        "import ctypes, sys, llama_cpp as l; p = l.llama_model_quantize_default_params(); p.ftype = l.LLAMA_FTYPE_MOSTLY_Q4_0; "
        "p.allow_requantize = True; sys.exit(l.llama_model_quantize(sys.argv[1].encode(), sys.argv[2].encode(), ctypes.byref(p)))"
    )
    subprocess.run([arguments.python, "-c", script, arguments.model, target], check=True, stderr=subprocess.DEVNULL)
    return target


def run_llama(arguments) -> dict[str, float]:
    command = [arguments.python, __file__, "--llama-round", "--model", arguments.model, "--threads", str(arguments.threads)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)


def run_troupe(arguments) -> dict[str, float]:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        subprocess.run([arguments.troupe, "bench", "engine", arguments.model, "--threads", str(arguments.threads),
                        "--repeats", "1", "--decode-tokens", str(DECODE_TOKENS), "--kernels", arguments.kernels, "--json", out.name],
                       check=True, stdout=subprocess.DEVNULL)
        report = json.load(open(out.name))
    return {claim["claim"]: claim["value"] for claim in report["claims"]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a GGUF file; default: the pulled smollm2")
    parser.add_argument("--troupe", default=str(claims.ROOT / "build/release/troupe"))
    parser.add_argument("--python", default=sys.executable, help="the Python that has llama_cpp")
    parser.add_argument("--kernels", default="", help="Troupe's instruction set; default: the best")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requantise", action="store_true", help="to Q4_0 first")
    parser.add_argument("--json", help="write the claims to this file")
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--llama-round", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.model:
        arguments.model = subprocess.run([arguments.troupe, "model", "path", "smollm2"], check=True, text=True,
                                         stdout=subprocess.PIPE).stdout.strip()
    if arguments.llama_round:
        json.dump(llama_round(arguments.model, arguments.threads), sys.stdout)
        return 0

    with tempfile.TemporaryDirectory() as folder:
        file = os.path.basename(arguments.model) + (" as Q4_0" if arguments.requantise else "")
        judged = file == TARGET_MODEL
        if arguments.requantise:
            arguments.model = requantise(arguments, folder)
        ours: dict[str, list[float]] = {row[0]: [] for row in ROWS}
        theirs: dict[str, list[float]] = {row[0]: [] for row in ROWS}
        for _ in range(1 if arguments.quick else arguments.rounds):
            for samples, values in ((ours, run_troupe(arguments)), (theirs, run_llama(arguments))):
                for name in samples:
                    samples[name].append(values[name])

    made = []
    print(f"{'':32} {'troupe':>10} {'llama.cpp':>10} {'ratio':>7}   {arguments.threads} threads")
    for name, kind, _, _, target in ROWS:
        unit = UNITS.get(kind, "tokens/s")
        row = claims.claim(name, unit, ours[name], "llama-cpp-python 0.3.36", theirs[name], target if judged else 1.0, kind in UNITS)
        verdict = "" if row["target"] is None else f"must be >= {target if judged else 1.0}: {'ok' if row['ok'] else 'MISSED'}"
        print(f"{name:32} {row['value']:10.1f} {row['peer_value']:10.1f} {row['ratio']:7.2f}   {unit:8} "
              f"spread {claims.spread(ours[name]):.0%} / {claims.spread(theirs[name]):.0%}  {verdict}")
        made.append(row)
    if arguments.json:
        claims.write(arguments.json, ", ".join(filter(None, ["vs_llama_cpp", not judged and file, arguments.kernels])), made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
