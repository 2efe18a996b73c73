"""Writes tests/data/dequantized.bin: random rows of every block format and their weights, decoded by the package gguf.

usage: dequantize_oracle.py FILE        needs: pip install gguf
"""
import struct
import sys

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

NAMES = ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K"]


def random_row(random, name, n_blocks, n_bytes):
    """Any bytes at all, but finite halves where the format has them."""
    row = random.integers(0, 256, (n_blocks, n_bytes), dtype=numpy.uint8)
    halves = [n_bytes - 2] if name == "Q6_K" else [0] if name[-1] == "0" else [0, 2]
    for at in halves:
        values = (random.standard_normal(n_blocks) * 0.05).astype(numpy.float16)
        row[:, at:at + 2] = values.view(numpy.uint8).reshape(n_blocks, 2)
    return row.reshape(1, -1)


def main():
    random = numpy.random.default_rng(1)
    with open(sys.argv[1], "wb") as out:
        for name in NAMES:
            kind = GGMLQuantizationType[name]
            weights, n_bytes = GGML_QUANT_SIZES[kind]
            n_blocks = 512 // weights
            row = random_row(random, name, n_blocks, n_bytes)
            decoded = dequantize(row, kind).astype(numpy.float32)
            assert decoded.size == 512
            out.write(struct.pack("<8sII", name.encode(), decoded.size, row.size))
            out.write(row.tobytes() + decoded.tobytes())


main()
