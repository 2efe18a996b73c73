#!/usr/bin/env python3
"""The handshake between two nodes once more, from the tables in transport/security/*.hpp and nothing else.

    reference_handshake.py [HEADER]

Prints a handshake with fixed nonces, one constant a line. With a header: exits 1 unless it holds all of them.
"""
import hashlib
import hmac
import struct
import sys

secret = hashlib.sha256(bytes(range(32))).digest()
nonce_c, nonce_s = bytes(range(0x20, 0x40)), bytes(range(0x60, 0x80))
epoch = 0x01020304


def identity(byte: int, purpose: int, address: str) -> bytes:
    return bytes([byte]) * 24 + bytes([purpose, len(address)]) + address.encode()


def mac(label: str, transcript: bytes) -> bytes:
    return hmac.new(secret, label.encode() + transcript, hashlib.sha256).digest()


def hkdf(key: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    pseudorandom, block, out = hmac.new(salt, key, hashlib.sha256).digest(), b"", b""
    for i in range(1, 256):
        block = hmac.new(pseudorandom, block + info + bytes([i]), hashlib.sha256).digest()
        out += block
    return out[:size]


hello = b"TRH\x01" + struct.pack("<HH", 1, 3) + nonce_c + hashlib.sha256(b"alpha").digest()[:16]
hello += identity(0x11, 1, "10.0.0.1:7100")
challenge = b"TRH\x02" + struct.pack("<H", 3) + nonce_s + identity(0x22, 2, "10.0.0.2:7100")
challenge += mac("troupe server", hello + challenge)
proof = b"TRH\x03"
proof += mac("troupe client", hello + challenge + proof)
ready = b"TRH\x04" + struct.pack("<I", epoch)
ready += mac("troupe ready", hello + challenge + proof + ready)
transcript = hello + challenge + proof + ready
keys = hkdf(secret, nonce_c + nonce_s, b"troupe session keys" + hashlib.sha256(transcript).digest(), 72)

golden = {
    "secret": secret, "hello": hello, "challenge": challenge, "proof": proof, "ready": ready,
    "initiator_key": keys[:32], "responder_key": keys[32:64], "initiator_salt": keys[64:68], "responder_salt": keys[68:72],
}
header = "".join(open(sys.argv[1]).read().replace('"', "").split()) if len(sys.argv) > 1 else None
missing = False
for name, value in golden.items():
    if header is None:
        print(f'inline constexpr std::string_view {name} = "{value.hex()}";')
    elif f"{name}={value.hex()};" not in header:
        print(f"{sys.argv[1]}: {name} is not {value.hex()}")
        missing = True
sys.exit(1 if missing else 0)
