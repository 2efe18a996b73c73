"""Frames over UCX by ctypes: what docs/wire.md asks of the lowest layer and no more. Structures follow ucp.h of UCX 1.13; their field masks
keep them right for later versions, which only append fields.
"""
import ctypes
import os
import socket
import struct
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_uint32, c_uint64, c_void_p

FRAME = 1  # the active message that carries a frame


def structure(fields, size=None):
    """A ctypes structure of (name, type) pairs; `size` leaves room for the fields behind them, which no mask names."""
    made = type("made", (ctypes.Structure,), {"_fields_": fields})
    room = size - ctypes.sizeof(made) if size else 0
    return type("padded", (made,), {"_fields_": [("unused", ctypes.c_char * room)]}) if room else made


received_callback = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p)
failed_callback = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_int)
context_params = structure([("field_mask", c_uint64), ("features", c_uint64)], 80)
worker_params = structure([("field_mask", c_uint64), ("thread_mode", c_int)], 200)
handler_params = structure([("field_mask", c_uint64), ("id", c_uint), ("flags", c_uint32), ("callback", received_callback), ("argument", c_void_p)])
endpoint_params = structure([("field_mask", c_uint64), ("address", c_void_p), ("error_mode", c_int), ("on_failure", failed_callback),
                             ("argument", c_void_p), ("user_data", c_void_p), ("flags", c_uint), ("sockaddr", c_char_p), ("sockaddr_bytes", c_uint32)], 104)
request_params = structure([("op_attr_mask", c_uint32), ("flags", c_uint32)], 72)
received_params = structure([("attributes", c_uint64), ("reply_endpoint", c_void_p)])

ucp = ctypes.CDLL("libucp.so.0")
for name, result, arguments in (
        ("ucp_config_read", c_int, [c_char_p, c_char_p, POINTER(c_void_p)]), ("ucp_config_release", None, [c_void_p]),
        ("ucp_init_version", c_int, [c_uint, c_uint, c_void_p, c_void_p, POINTER(c_void_p)]), ("ucp_cleanup", None, [c_void_p]),
        ("ucp_worker_create", c_int, [c_void_p, c_void_p, POINTER(c_void_p)]), ("ucp_worker_destroy", None, [c_void_p]),
        ("ucp_worker_set_am_recv_handler", c_int, [c_void_p, c_void_p]), ("ucp_worker_progress", c_uint, [c_void_p]),
        ("ucp_ep_create", c_int, [c_void_p, c_void_p, POINTER(c_void_p)]), ("ucp_ep_close_nbx", c_void_p, [c_void_p, c_void_p]),
        ("ucp_am_send_nbx", c_void_p, [c_void_p, c_uint, c_void_p, c_size_t, c_char_p, c_size_t, c_void_p]),
        ("ucp_request_check_status", c_int, [c_void_p]), ("ucp_request_free", None, [c_void_p])):
    getattr(ucp, name).restype, getattr(ucp, name).argtypes = result, arguments


class Fabric:
    """Endpoints, the frames that came as (endpoint, bytes), which the owner takes away, and the endpoints that failed."""

    def __init__(self):
        # One way for all messages keeps them in order; shared memory would need the settings of ucx_context.cpp on this side too.
        os.environ.setdefault("UCX_TLS", "tcp")
        self.endpoints, self.frames, self.lost = [], [], set()
        self.callbacks = received_callback(self._received), failed_callback(lambda _, endpoint, status: self.lost.add(endpoint))
        config, self.context, self.worker = c_void_p(), c_void_p(), c_void_p()
        self._check(ucp.ucp_config_read(None, None, byref(config)))
        self._check(ucp.ucp_init_version(1, 13, byref(context_params(1, 1 << 6)), config, byref(self.context)))  # features: active messages
        ucp.ucp_config_release(config)
        self._check(ucp.ucp_worker_create(self.context, byref(worker_params(1, 0)), byref(self.worker)))
        self._check(ucp.ucp_worker_set_am_recv_handler(self.worker, byref(handler_params(7, FRAME, 1, self.callbacks[0], None))))  # 1: whole messages

    def _check(self, status):
        if status != 0:
            raise ConnectionError(f"UCX says {status}")

    def _received(self, _, header, header_bytes, data, size, params):
        about = received_params.from_address(params)
        if about.attributes & 1 and not about.attributes & 1 << 17:  # has a reply endpoint; is here already (no rendezvous)
            self.frames.append((about.reply_endpoint, ctypes.string_at(data, size)))
        return 0

    def connect(self, host, port):
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        packed = struct.pack("=H", family) + struct.pack("!H", port)
        packed += socket.inet_aton(address[0]) + bytes(8) if family == socket.AF_INET else bytes(4) + socket.inet_pton(family, address[0]) + bytes(4)
        endpoint = c_void_p()  # the mask: error handling, flags, socket address
        params = endpoint_params(0x36, None, 1, self.callbacks[1], None, None, 1, packed, len(packed))
        self._check(ucp.ucp_ep_create(self.worker, byref(params), byref(endpoint)))
        self.endpoints.append(endpoint.value)
        return endpoint.value

    def send(self, endpoint, frame):
        """Eager and with a reply endpoint, as frames have to be; returns when UCX is done with the bytes."""
        self._finish(ucp.ucp_am_send_nbx(endpoint, FRAME, None, 0, frame, len(frame), byref(request_params(1 << 4, 3))))

    def _finish(self, request):
        if request is None or request > 2**64 - 256:  # done at once, or failed, which on_failure tells
            return
        while ucp.ucp_request_check_status(request) == 1:
            ucp.ucp_worker_progress(self.worker)
        ucp.ucp_request_free(request)

    def progress(self):
        while ucp.ucp_worker_progress(self.worker):
            pass

    def close(self):
        for endpoint in self.endpoints:
            self._finish(ucp.ucp_ep_close_nbx(endpoint, byref(request_params(1 << 4, endpoint in self.lost))))  # by force what is lost
        ucp.ucp_worker_destroy(self.worker)
        ucp.ucp_cleanup(self.context)
