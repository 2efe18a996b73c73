#!/usr/bin/env python3
"""Compares Troupe's logits with llama.cpp's on tiny random models of every architecture, all in floats.

    tiny_oracle.py --write-tiny-model PROGRAM --compute-logits PROGRAM

Exit code 77 says that llama-cpp-python is absent, 1 that logits differ.
"""

import argparse
import pathlib
import random
import subprocess
import sys
import tempfile

from llama_cpp_oracle import ABSENT, CHUNK, llama_cpp_rows, troupe_rows

ARCHITECTURES = ["llama", "qwen2", "qwen3", "gemma3"]
N_TOKENS = 100
# Of the logits' deviation. llama.cpp adds in another order, and its GELU is a table of 16-bit floats.
LARGEST_DISTANCE = 0.004


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write-tiny-model", required=True, metavar="PROGRAM")
    parser.add_argument("--compute-logits", required=True, metavar="PROGRAM")
    arguments = parser.parse_args()
    try:
        import llama_cpp
        import numpy
    except ImportError as problem:
        print(f"skipped: {problem}; pip install llama-cpp-python numpy")
        return ABSENT
    random.seed(1)
    ids = [random.randrange(3, 300) for _ in range(N_TOKENS)]
    far = 0
    with tempfile.TemporaryDirectory() as folder:
        for architecture in ARCHITECTURES:
            path = str(pathlib.Path(folder) / f"{architecture}.gguf")
            subprocess.run([arguments.write_tiny_model, architecture, path], check=True)
            theirs = list(llama_cpp_rows(llama_cpp, numpy, path, ids, type_k=0, type_v=0))
            ours = list(troupe_rows(numpy, arguments.compute_logits, path, ids, "best", "exact", CHUNK, len(theirs[0])))
            worst = max(float(abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
            width = float(numpy.std(theirs))
            print(f"{architecture}: {len(ids)} positions, largest distance {worst:.2g} of logits with deviation {width:.2g}")
            far += worst > LARGEST_DISTANCE * width
    return 1 if far else 0


if __name__ == "__main__":
    sys.exit(main())
