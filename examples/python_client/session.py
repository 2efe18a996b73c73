"""One session of docs/wire.md: the handshake, then numbered frames, and the messages in them."""
import hashlib
import hmac
import ipaddress
import os
import socket
import struct
import time

import xxhash

HANDSHAKE, MESSAGES, BEAT, BYE, MESSAGE_PART = 1, 2, 3, 4, 6


def read_secret(path):
    """K of the handshake. Without a secret everybody on this host knows it."""
    if path is None:
        return b"troupe: a cluster with no secret"
    content = open(path, "rb").read()
    text = content[:-1].removesuffix(b"\r") if content.endswith(b"\n") else content
    return hashlib.sha256(text if all(0x20 <= byte < 0x7F for byte in text) else content).digest()


class Session:
    """One connection: the handshake, then numbered frames, sealed unless both ends are on this host."""

    def __init__(self, fabric, myself, secret, cluster, address):
        host, _, port = address.rpartition(":")
        host = socket.getaddrinfo(host.strip("[]"), None)[0][4][0]
        self.fabric, self.sent, self.received, self.epoch, self.seal, self.part = fabric, 0, 0, 0, None, b""
        self.endpoint = fabric.connect(host, int(port))
        sealed = not ipaddress.ip_address(host).is_loopback
        nonce = os.urandom(32)
        said = b"TRH\1" + struct.pack("<HH", 1, 1) + nonce + hashlib.sha256(cluster).digest()[:16] + myself + bytes([sealed, 0])
        self.send(HANDSHAKE, said)
        sign = lambda label, covered: hmac.digest(secret, label + covered, "sha256")
        challenge = self._answer(2)
        if not hmac.compare_digest(challenge[-32:], sign(b"troupe server", said + challenge[:-32])):
            raise ConnectionError("the node does not know the secret")
        said += challenge
        proof = b"TRH\3" + sign(b"troupe client", said + b"TRH\3")
        self.send(HANDSHAKE, proof)
        said += proof
        ready = self._answer(4)
        if not hmac.compare_digest(ready[-32:], sign(b"troupe ready", said + ready[:-32])):
            raise ConnectionError("the node does not know the secret")
        self.epoch, = struct.unpack_from("<I", ready, 4)
        if sealed:
            from cryptography.hazmat.primitives import hashes
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF
            info = b"troupe session keys" + hashlib.sha256(said + ready).digest()
            keys = HKDF(hashes.SHA256(), 72, nonce + challenge[6:38], info).derive(secret)
            self.seal = [(AESGCM(keys[:32]), keys[64:68]), (AESGCM(keys[32:64]), keys[68:])]  # of what is sent, of what is received

    def _answer(self, kind, patience_s=5):
        end = time.monotonic() + patience_s
        while not any(endpoint == self.endpoint for endpoint, _ in self.fabric.frames):
            self.fabric.progress()
            if self.endpoint in self.fabric.lost or time.monotonic() > end:
                raise ConnectionError("nobody answers there")
        found = next(frame for frame in self.fabric.frames if frame[0] == self.endpoint)
        self.fabric.frames.remove(found)
        message = self.open(found[1])[1]
        if message[:4] != b"TRH" + bytes([kind]):
            raise ConnectionError(f"the node refused: reason {message[4]} of refusal_reason.hpp" if message[3] == 5 else "no handshake")
        return message

    def send(self, kind, payload=b""):
        self.sent += kind != HANDSHAKE
        header = struct.pack("<4sBBHIIQ", b"TRP\1", 1, kind, self.seal is not None, len(payload) + 16 * (self.seal is not None), self.epoch, self.sent)
        if self.seal:
            payload = self.seal[0][0].encrypt(self.seal[0][1] + struct.pack(">Q", self.sent), payload, header)
        self.fabric.send(self.endpoint, header + checksum(header, payload) + payload)

    def open(self, frame):
        """(type, payload) of a frame; the next of this session, or it ends."""
        header, payload = frame[:24], frame[32:]
        magic, version, kind, flags, length, epoch, sequence = struct.unpack("<4sBBHIIQ", header)
        self.received += kind != HANDSHAKE
        if (magic, version, flags, length, epoch, sequence) != (b"TRP\1", 1, self.seal is not None, len(payload), self.epoch, self.received):
            raise ConnectionError("a frame that is not this session's next")
        if frame[24:32] != checksum(header, payload):
            raise ConnectionError("a frame with a wrong checksum")
        if self.seal:
            payload = self.seal[1][0].decrypt(self.seal[1][1] + struct.pack(">Q", sequence), payload, header)
        self.heard = time.monotonic()
        return kind, payload

    def messages(self, frame):
        kind, payload = self.open(frame)
        if kind == BYE:
            self.fabric.lost.add(self.endpoint)
        if kind == MESSAGE_PART:
            self.part += payload[4:]
            if len(self.part) == int.from_bytes(payload[:4], "little"):
                yield self.part
                self.part = b""
        while kind == MESSAGES and payload:
            length = int.from_bytes(payload[:4], "little")
            yield payload[4:4 + length]
            payload = payload[4 + length:]


def checksum(header, payload):
    return struct.pack("<Q", xxhash.xxh3_64_intdigest(payload, xxhash.xxh3_64_intdigest(header)))
