#include "transport/bridge/proxy.hpp"

#include "transport/bridge/bridge.hpp"

#include <caf/detail/sync_request_bouncer.hpp>

namespace troupe::transport {

void proxy::enqueue(caf::mailbox_element_ptr letter, caf::execution_unit*) {
  if (getf(is_terminated_flag) || !at_->alive()) {
    caf::detail::sync_request_bouncer bounce{caf::make_error(caf::sec::request_receiver_down)};
    return bounce(*letter);
  }
  // An exit message ends a link on both sides.
  const auto& content = letter->content();
  std::uint64_t ended = 0;
  if (content.match_elements<caf::exit_msg>()) {
    const auto source = caf::actor_cast<caf::strong_actor_ptr>(content.get_as<caf::exit_msg>(0).source);
    if (source && source->get()->getf(is_terminated_flag)) ended = source->id();
    if (source) unlink_from(source);
  }
  bridge_.send_letter(at_, id(), *letter, ended);
}

bool proxy::add_backlink(caf::abstract_actor* other) {
  if (!caf::monitorable_actor::add_backlink(other)) return false;
  bridge_.send_link(at_, true, caf::strong_actor_ptr{other->ctrl()}, id());
  return true;
}

bool proxy::remove_backlink(caf::abstract_actor* other) {
  if (!caf::monitorable_actor::remove_backlink(other)) return false;
  bridge_.send_link(at_, false, caf::strong_actor_ptr{other->ctrl()}, id());
  return true;
}

}  // namespace troupe::transport
