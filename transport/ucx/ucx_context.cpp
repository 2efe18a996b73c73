#include "transport/ucx/ucx_context.hpp"

#include "transport/ucx/socket_address.hpp"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace troupe::transport {

error ucx_error(const std::string& what, ucs_status_t status) {
  return make_error(errc::unavailable, what + ": UCX says '" + ucs_status_string(status) + "'.");
}

result<ucp_context_h> make_ucx_context(const ucx_options& options) {
  const auto set = [](const char* name, const std::string& value) {
    ::setenv((std::string("UCX_") + name).c_str(), value.c_str(), 0);
  };
  ucp_config_t* config = nullptr;
  const auto set_here = [&](const char* name, const std::string& value) {
    if (::getenv((std::string("UCX_") + name).c_str()) == nullptr) ucp_config_modify(config, name, value.c_str());
  };
  set("TCP_CM_REUSEADDR", "y");  // else a restarted node waits a minute for its own port
  if (options.transports.empty()) {
    // With error handling of peers UCX would leave nothing but TCP, even within a host (its issue 8477).
    set("POSIX_ERROR_HANDLING", "y");
    set("SYSV_ERROR_HANDLING", "y");
    set("CMA_MEMORY_INVALIDATE", "y");
    // While a link is being set up UCX 1.13 plans messages for TCP, which takes 8 KiB in one piece, and may send them
    // over shared memory, which by itself takes 100 bytes: they would be lost.
    set("POSIX_FIFO_ELEM_SIZE", "8320");
    set("SYSV_FIFO_ELEM_SIZE", "8320");
  }
  if (const auto status = ucp_config_read(nullptr, nullptr, &config); status != UCS_OK)
    return ucx_error("cannot read UCX's configuration", status);
  if (!options.transports.empty()) set_here("TLS", options.transports);
  if (!options.net_devices.empty()) {
    set_here("NET_DEVICES", options.net_devices);
  } else if (std::error_code missing; !std::filesystem::exists("/sys/class/infiniband", missing)) {
    if (const auto device = find_device_of(options.bind_host)) set_here("NET_DEVICES", *device);
  }
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  ucp_context_h context = nullptr;
  const auto status = ucp_init(&params, config, &context);
  ucp_config_release(config);
  if (status != UCS_OK) return ucx_error("cannot start UCX", status);
  return context;
}

}  // namespace troupe::transport
