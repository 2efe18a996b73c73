"""Builds the tokenizer of a GGUF file (model "gpt2", pre-tokenizer "smollm") with Hugging Face's `tokenizers`, reading the file
without any of Troupe's code."""

import struct

from tokenizers import AddedToken, Tokenizer, __version__, decoders, models, pre_tokenizers

VERSION = __version__
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
CONTROL, USER_DEFINED = 3, 4


def read_metadata(path):
    """The key-value pairs of a GGUF version 3 file; strings as bytes."""
    with open(path, "rb") as file:

        def scalar(form):
            return struct.unpack("<" + form, file.read(struct.calcsize(form)))[0]

        def value(kind):
            if kind == STRING:
                return file.read(scalar("Q"))
            if kind == ARRAY:
                item, count = scalar("I"), scalar("Q")
                return [value(item) for _ in range(count)]
            return scalar(SCALARS[kind])

        assert file.read(4) == b"GGUF" and scalar("I") == 3, f"{path} is not GGUF version 3"
        scalar("Q")  # the number of tensors
        return {file.read(scalar("Q")).decode(): value(scalar("I")) for _ in range(scalar("Q"))}


def load(path):
    """Returns (tokenizer that keeps special tokens as text, tokenizer that parses them, texts of the special tokens)."""
    metadata = read_metadata(path)
    assert (metadata["tokenizer.ggml.model"], metadata["tokenizer.ggml.pre"]) == (b"gpt2", b"smollm")
    tokens = [token.decode() for token in metadata["tokenizer.ggml.tokens"]]
    kinds = metadata["tokenizer.ggml.token_type"]
    merges = [tuple(merge.decode().split(" ")) for merge in metadata["tokenizer.ggml.merges"]]
    special = [token for token, kind in zip(tokens, kinds) if kind in (CONTROL, USER_DEFINED)]

    def build():
        tokenizer = Tokenizer(models.BPE({token: i for i, token in enumerate(tokens)}, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        return tokenizer

    plain, parsing = build(), build()
    parsing.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    return plain, parsing, special
