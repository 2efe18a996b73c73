// How UCX is set up for this house.
#pragma once

#include "base/result.hpp"
#include "transport/ucx/ucx_fabric.hpp"

#include <string>

#include <ucp/api/ucp.h>

namespace troupe::transport {

/// A sentence with UCX's own reason.
error ucx_error(const std::string& what, ucs_status_t status);

/// Settings that differ from UCX's own; what the user sets as UCX_… wins. Those of UCX's lower layers go by the
/// environment, since UCX takes them from nowhere else.
result<ucp_context_h> make_ucx_context(const ucx_options& options);

}  // namespace troupe::transport
