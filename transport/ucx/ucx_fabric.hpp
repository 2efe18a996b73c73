// The fabric over UCX (Shamis et al., HOTI 2015): active messages for frames, rendezvous for bulk memory. UCX chooses
// the ways: tcp, shared memory between processes of one host, RDMA and CUDA where they are.
//
//   frame      eager active message: arrives whole and in order, since all frames of a link take the same lane
//   bulk part  active message by rendezvous: from the sender's memory straight into the place the receiver names
//
// UCX notices a killed peer within milliseconds, but neither a stopped one nor a silent network: whoever uses a fabric
// needs heartbeats of its own (mesh.hpp).
//
// Cost on loopback and on this side of the wire: docs/benchmarks.md, transport.
#pragma once

#include "transport/fabric.hpp"

#include <memory>
#include <string>

namespace troupe::transport {

struct ucx_options {
  // UCX_NET_DEVICES: network devices that may be used. Empty: that of the address that is bound, so that bulk memory is
  // not spread over networks nobody meant (all of them where there is RDMA).
  std::string net_devices;
  // UCX_TLS: the ways that may be used. Empty: all that UCX has.
  std::string transports;
  // The address that will be bound, or connected from; chooses net_devices.
  std::string bind_host = "127.0.0.1";
};

/// Errors: unavailable (UCX cannot start on this machine; the sentence has UCX's own reason).
result<std::unique_ptr<fabric>> make_ucx_fabric(const ucx_options& options);

}  // namespace troupe::transport
