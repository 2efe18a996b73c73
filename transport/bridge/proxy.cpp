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
  if (content.match_elements<caf::exit_msg>()) unlink_from(content.get_as<caf::exit_msg>(0).source);
  bridge_.send_letter(at_, id(), *letter);
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
