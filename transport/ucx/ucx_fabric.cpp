#include "transport/ucx/ucx_fabric.hpp"

#include "base/assert.hpp"
#include "transport/ucx/socket_address.hpp"
#include "transport/ucx/ucx_context.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/eventfd.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

namespace troupe::transport {
namespace {

constexpr unsigned frame_am = 1;
constexpr unsigned bulk_am = 2;
constexpr auto linger = std::chrono::milliseconds(200);
constexpr std::size_t max_lingering = 64;

class ucx_fabric final : public fabric {
 public:
  ucx_fabric(ucp_context_h context, ucp_worker_h worker, int event_fd, int wake_fd)
      : context_(context), worker_(worker), event_fd_(event_fd), wake_fd_(wake_fd) {
    set_handler(frame_am, &ucx_fabric::on_frame);
    set_handler(bulk_am, &ucx_fabric::on_bulk);
  }
  ~ucx_fabric() override;

  void set_listener(fabric_listener& listener) override { listener_ = &listener; }
  result<address> listen(const address& where) override;
  result<link_id> connect(const address& where) override;
  std::string remote_host(link_id link) const override {
    const auto found = links_.find(link);
    return found == links_.end() ? std::string() : found->second.remote_host;
  }
  void send(link_id link, wire::byte_buffer frame) override;
  std::size_t unsent_bytes(link_id link) const override {
    const auto found = links_.find(link);
    return found == links_.end() ? 0 : found->second.unsent_bytes;
  }
  void send_bulk(link_id link, const bulk_header& header, std::span<const std::byte> memory,
                 std::uint64_t cookie) override;
  void close(link_id link) override;
  void close_gently(link_id link) override;
  bool progress() override;
  bool sleep_until(time_point when) override;
  void wake() override {
    const std::uint64_t one = 1;
    (void)!::write(wake_fd_, &one, sizeof one);  // full: it is awake already
  }

 private:
  struct open_link {
    ucp_ep_h endpoint = nullptr;
    std::string remote_host;
    std::size_t unsent_bytes = 0;
  };
  struct frame_in_flight {
    ucx_fabric* fabric;
    link_id link;
    wire::byte_buffer frame;
  };
  struct bulk_in_flight {
    ucx_fabric* fabric;
    std::uint64_t cookie;
    bulk_header header;
  };
  struct bulk_arriving {
    ucx_fabric* fabric;
    link_id link;
    bulk_header header;
  };

  void set_handler(unsigned id, ucp_am_recv_callback_t callback);
  static ucs_status_t on_frame(void* self, const void* header, std::size_t header_bytes, void* data, std::size_t size,
                               const ucp_am_recv_param_t* param);
  static ucs_status_t on_bulk(void* self, const void* header, std::size_t header_bytes, void* data, std::size_t size,
                              const ucp_am_recv_param_t* param);
  static void on_connection(ucp_conn_request_h request, void* self) {
    static_cast<ucx_fabric*>(self)->connection_requests_.push_back(request);
  }
  static void on_endpoint_error(void* self, ucp_ep_h endpoint, ucs_status_t status) {
    static_cast<ucx_fabric*>(self)->failures_.emplace_back(endpoint, status);
  }

  result<link_id> add_link(ucp_ep_params_t& params, std::string remote_host);
  link_id link_of(const ucp_am_recv_param_t* param);
  ucs_status_t receive_bulk(link_id link, const bulk_header& header, void* data, std::size_t size, bool rendezvous);
  void accept_all();
  void report_failures();
  ucp_ep_h forget(link_id link);
  void end_lingering();
  void close_endpoint(ucp_ep_h endpoint, unsigned flags);
  void finish_closing();
  void finish_closing(std::chrono::milliseconds limit);

  ucp_context_h context_;
  ucp_worker_h worker_;
  int event_fd_;
  int wake_fd_;
  ucp_listener_h ucp_listener_ = nullptr;
  fabric_listener* listener_ = nullptr;

  std::unordered_map<link_id, open_link> links_;
  std::unordered_map<ucp_ep_h, link_id> by_endpoint_;
  ucp_ep_h last_endpoint_ = nullptr;  // frames come in runs
  link_id last_link_;
  std::uint64_t next_link_ = 1;
  bool something_happened_ = false;
  // Filled by callbacks, which must not call UCX; emptied after ucp_worker_progress.
  std::vector<ucp_conn_request_h> connection_requests_;
  std::vector<std::pair<ucp_ep_h, ucs_status_t>> failures_;
  std::vector<void*> closing_;
  // Closed gently: until the other side closes as well, or until then.
  std::vector<std::pair<ucp_ep_h, time_point>> lingering_;
};

ucx_fabric::~ucx_fabric() {
  if (ucp_listener_ != nullptr) ucp_listener_destroy(ucp_listener_);
  // What is queued may still leave, for a moment.
  std::vector<ucp_ep_h> endpoints;
  for (const auto& [endpoint, until] : lingering_)
    endpoints.push_back(endpoint);
  for (const auto& [id, open] : links_)
    endpoints.push_back(open.endpoint);
  ucp_request_param_t param{};
  for (const auto endpoint : endpoints)
    if (const auto request = ucp_ep_flush_nbx(endpoint, &param); UCS_PTR_IS_PTR(request)) closing_.push_back(request);
  finish_closing(linger);
  for (const auto endpoint : endpoints)
    close_endpoint(endpoint, UCP_EP_CLOSE_FLAG_FORCE);
  links_.clear();
  by_endpoint_.clear();
  finish_closing(linger);
  // UCX aborts the process over a request that nobody gave back, as those of a peer that does not answer.
  for (const auto request : closing_)
    ucp_request_free(request);
  ucp_worker_destroy(worker_);
  ucp_cleanup(context_);
  ::close(wake_fd_);
}

void ucx_fabric::set_handler(unsigned id, ucp_am_recv_callback_t callback) {
  ucp_am_handler_param_t param{};
  param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS | UCP_AM_HANDLER_PARAM_FIELD_CB |
                     UCP_AM_HANDLER_PARAM_FIELD_ARG;
  param.id = id;
  param.flags = UCP_AM_FLAG_WHOLE_MSG;
  param.cb = callback;
  param.arg = this;
  const auto status = ucp_worker_set_am_recv_handler(worker_, &param);
  TROUPE_ASSERT(status == UCS_OK, "UCX takes active message handlers");
}

result<address> ucx_fabric::listen(const address& where) {
  const auto resolved = resolve(where);
  if (!resolved) return resolved.error();
  ucp_listener_params_t params{};
  params.field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER;
  params.sockaddr = {resolved->get(), resolved->size};
  params.conn_handler = {&ucx_fabric::on_connection, this};
  if (const auto status = ucp_listener_create(worker_, &params, &ucp_listener_); status != UCS_OK)
    return ucx_error("cannot listen on " + to_string(where), status);
  ucp_listener_attr_t attributes{};
  attributes.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR;
  if (const auto status = ucp_listener_query(ucp_listener_, &attributes); status != UCS_OK)
    return ucx_error("cannot ask where " + to_string(where) + " was bound", status);
  return address{where.host, port_of(attributes.sockaddr)};
}

result<link_id> ucx_fabric::connect(const address& where) {
  const auto resolved = resolve(where);
  if (!resolved) return resolved.error();
  ucp_ep_params_t params{};
  params.field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR;
  params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
  params.sockaddr = {resolved->get(), resolved->size};
  return add_link(params, host_of(resolved->storage));
}

result<link_id> ucx_fabric::add_link(ucp_ep_params_t& params, std::string remote_host) {
  params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE | UCP_EP_PARAM_FIELD_ERR_HANDLER;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
  params.err_handler = {&ucx_fabric::on_endpoint_error, this};
  open_link made;
  made.remote_host = std::move(remote_host);
  if (const auto status = ucp_ep_create(worker_, &params, &made.endpoint); status != UCS_OK)
    return ucx_error("cannot connect", status);
  const link_id id{next_link_++};
  by_endpoint_.emplace(made.endpoint, id);
  links_.emplace(id, std::move(made));
  return id;
}

void ucx_fabric::send(link_id id, wire::byte_buffer frame) {
  const auto found = links_.find(id);
  if (found == links_.end()) return;
  auto flight = std::make_unique<frame_in_flight>(frame_in_flight{this, id, std::move(frame)});
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_EAGER | UCP_AM_SEND_FLAG_REPLY;
  param.user_data = flight.get();
  param.cb.send = [](void* request, ucs_status_t, void* user_data) {
    const std::unique_ptr<frame_in_flight> done(static_cast<frame_in_flight*>(user_data));
    ucp_request_free(request);
    const auto of = done->fabric->links_.find(done->link);
    if (of != done->fabric->links_.end()) of->second.unsent_bytes -= done->frame.size();
    done->fabric->something_happened_ = true;
  };
  const auto bytes = flight->frame.size();
  const auto request =
      ucp_am_send_nbx(found->second.endpoint, frame_am, nullptr, 0, flight->frame.data(), bytes, &param);
  if (!UCS_PTR_IS_PTR(request)) return;  // sent, or failed: the endpoint's error is reported apart
  found->second.unsent_bytes += bytes;
  flight.release();
}

void ucx_fabric::send_bulk(link_id id, const bulk_header& header, std::span<const std::byte> memory,
                           std::uint64_t cookie) {
  const auto found = links_.find(id);
  if (found == links_.end()) return listener_->on_bulk_sent(cookie, false);
  auto flight = std::make_unique<bulk_in_flight>(bulk_in_flight{this, cookie, header});
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_REPLY;
  param.user_data = flight.get();
  param.cb.send = [](void* request, ucs_status_t status, void* user_data) {
    const std::unique_ptr<bulk_in_flight> done(static_cast<bulk_in_flight*>(user_data));
    ucp_request_free(request);
    done->fabric->something_happened_ = true;
    done->fabric->listener_->on_bulk_sent(done->cookie, status == UCS_OK);
  };
  const auto request = ucp_am_send_nbx(found->second.endpoint, bulk_am, &flight->header, sizeof flight->header,
                                       memory.data(), memory.size(), &param);
  if (UCS_PTR_IS_PTR(request)) {
    flight.release();
  } else {
    listener_->on_bulk_sent(cookie, UCS_PTR_STATUS(request) == UCS_OK);
  }
}

link_id ucx_fabric::link_of(const ucp_am_recv_param_t* param) {
  something_happened_ = true;
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) == 0) return {};
  if (param->reply_ep != last_endpoint_) {
    const auto found = by_endpoint_.find(param->reply_ep);
    if (found == by_endpoint_.end()) return {};
    last_endpoint_ = found->first;
    last_link_ = found->second;
  }
  return last_link_;
}

ucs_status_t ucx_fabric::on_frame(void* self, const void*, std::size_t, void* data, std::size_t size,
                                  const ucp_am_recv_param_t* param) {
  auto& fabric = *static_cast<ucx_fabric*>(self);
  const link_id from = fabric.link_of(param);
  // A frame by rendezvous is not of our making; left alone, it is dropped.
  const bool here = (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) == 0;
  if (from != link_id{} && here) fabric.listener_->on_frame(from, {static_cast<const std::byte*>(data), size});
  return UCS_OK;
}

ucs_status_t ucx_fabric::on_bulk(void* self, const void* header, std::size_t header_bytes, void* data, std::size_t size,
                                 const ucp_am_recv_param_t* param) {
  auto& fabric = *static_cast<ucx_fabric*>(self);
  const link_id from = fabric.link_of(param);
  bulk_header known;
  if (from == link_id{} || header_bytes != sizeof known) return UCS_OK;
  std::memcpy(&known, header, sizeof known);
  return fabric.receive_bulk(from, known, data, size, (param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) != 0);
}

ucs_status_t ucx_fabric::receive_bulk(link_id link, const bulk_header& header, void* data, std::size_t size,
                                      bool rendezvous) {
  const bulk_place place = listener_->on_bulk_offered(link, header, size);
  if (place.memory.size() != size || size == 0) return UCS_OK;  // refused: UCX forgets it and tells the sender
  if (!rendezvous) {
    std::memcpy(place.memory.data(), data, size);
    listener_->on_bulk_received(link, header, true);
    return UCS_OK;
  }
  auto arriving = std::make_unique<bulk_arriving>(bulk_arriving{this, link, header});
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FLAG_NO_IMM_CMPL;
  param.user_data = arriving.get();
  param.cb.recv_am = [](void* request, ucs_status_t status, std::size_t, void* user_data) {
    const std::unique_ptr<bulk_arriving> done(static_cast<bulk_arriving*>(user_data));
    ucp_request_free(request);
    done->fabric->something_happened_ = true;
    done->fabric->listener_->on_bulk_received(done->link, done->header, status == UCS_OK);
  };
  const auto request = ucp_am_recv_data_nbx(worker_, data, place.memory.data(), size, &param);
  if (UCS_PTR_IS_PTR(request)) {
    arriving.release();
  } else {
    listener_->on_bulk_received(link, header, false);
  }
  return UCS_INPROGRESS;
}

void ucx_fabric::accept_all() {
  for (const auto request : std::exchange(connection_requests_, {})) {
    ucp_conn_request_attr_t client{};
    client.field_mask = UCP_CONN_REQUEST_ATTR_FIELD_CLIENT_ADDR;
    const bool known = ucp_conn_request_query(request, &client) == UCS_OK;
    ucp_ep_params_t params{};
    params.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST;
    params.conn_request = request;
    if (const auto made = add_link(params, known ? host_of(client.client_address) : std::string()))
      listener_->on_accepted(*made);
  }
}

void ucx_fabric::report_failures() {
  for (const auto& failure : std::exchange(failures_, {})) {
    const auto& [endpoint, status] = failure;
    if (std::erase_if(lingering_, [&](const auto& closed) { return closed.first == failure.first; }) != 0) {
      close_endpoint(endpoint, UCP_EP_CLOSE_FLAG_FORCE);
      continue;
    }
    const auto found = by_endpoint_.find(endpoint);
    if (found == by_endpoint_.end()) continue;  // closed from this side in the meantime
    const link_id id = found->second;
    by_endpoint_.erase(found);
    links_.erase(id);
    last_endpoint_ = nullptr;
    close_endpoint(endpoint, UCP_EP_CLOSE_FLAG_FORCE);
    listener_->on_link_lost(id, ucs_status_string(status));
  }
}

/// Nothing that comes over this endpoint counts any more. nullptr: there is no such link.
ucp_ep_h ucx_fabric::forget(link_id id) {
  const auto found = links_.find(id);
  if (found == links_.end()) return nullptr;
  const ucp_ep_h endpoint = found->second.endpoint;
  links_.erase(found);
  by_endpoint_.erase(endpoint);
  last_endpoint_ = nullptr;
  return endpoint;
}

void ucx_fabric::close(link_id id) {
  if (const ucp_ep_h endpoint = forget(id)) close_endpoint(endpoint, UCP_EP_CLOSE_FLAG_FORCE);
}

void ucx_fabric::close_gently(link_id id) {
  if (lingering_.size() >= max_lingering) return close(id);
  if (const ucp_ep_h endpoint = forget(id))
    lingering_.emplace_back(endpoint, std::chrono::steady_clock::now() + linger);
}

void ucx_fabric::end_lingering() {
  const auto now = std::chrono::steady_clock::now();
  while (!lingering_.empty() && lingering_.front().second <= now) {
    close_endpoint(lingering_.front().first, UCP_EP_CLOSE_FLAG_FORCE);
    lingering_.erase(lingering_.begin());
  }
}

void ucx_fabric::close_endpoint(ucp_ep_h endpoint, unsigned flags) {
  // UCX may give the next endpoint this one's place.
  std::erase_if(failures_, [&](const auto& failure) { return failure.first == endpoint; });
  ucp_request_param_t param{};
  param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = flags;
  const auto request = ucp_ep_close_nbx(endpoint, &param);
  if (UCS_PTR_IS_PTR(request)) closing_.push_back(request);
}

void ucx_fabric::finish_closing() {
  std::erase_if(closing_, [](void* request) {
    if (ucp_request_check_status(request) == UCS_INPROGRESS) return false;
    ucp_request_free(request);
    return true;
  });
}

void ucx_fabric::finish_closing(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (finish_closing(); !closing_.empty() && std::chrono::steady_clock::now() < end; finish_closing())
    ucp_worker_progress(worker_);
}

bool ucx_fabric::progress() {
  const bool moved = ucp_worker_progress(worker_) != 0;
  if (!connection_requests_.empty()) accept_all();
  if (!failures_.empty()) report_failures();
  if (!lingering_.empty()) end_lingering();
  if (!closing_.empty()) finish_closing();
  return std::exchange(something_happened_, false) || moved;
}

bool ucx_fabric::sleep_until(time_point when) {
  if (!connection_requests_.empty() || !failures_.empty() || ucp_worker_arm(worker_) != UCS_OK) return false;
  if (!lingering_.empty()) when = std::min(when, lingering_.front().second);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - std::chrono::steady_clock::now());
  pollfd fds[] = {{event_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  constexpr long longest = 60'000;
  ::poll(fds, 2, static_cast<int>(std::clamp<long>(left.count(), 0, longest)));
  if ((fds[1].revents & POLLIN) != 0) {
    std::uint64_t n = 0;
    (void)!::read(wake_fd_, &n, sizeof n);
  }
  return true;
}

}  // namespace

result<std::unique_ptr<fabric>> make_ucx_fabric(const ucx_options& options) {
  const auto context = make_ucx_context(options);
  if (!context) return context.error();
  ucp_worker_params_t params{};
  params.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  params.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  ucp_worker_h worker = nullptr;
  if (const auto status = ucp_worker_create(*context, &params, &worker); status != UCS_OK) {
    ucp_cleanup(*context);
    return ucx_error("cannot make a UCX worker", status);
  }
  int event_fd = -1;
  const auto status = ucp_worker_get_efd(worker, &event_fd);
  const int wake_fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (status != UCS_OK || wake_fd < 0) {
    ucp_worker_destroy(worker);
    ucp_cleanup(*context);
    return ucx_error("cannot make a UCX worker that wakes up", status);
  }
  return std::unique_ptr<fabric>(std::make_unique<ucx_fabric>(*context, worker, event_fd, wake_fd));
}

}  // namespace troupe::transport
