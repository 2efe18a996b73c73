// The source's side of a relocation (actors/protocols/relocation.hpp): a request leaves this worker.
//
// K and V are copied in stages while the request goes on: first all full blocks, then those that were filled meanwhile,
// until a stage has no more than one; then the request is paused, the rest copied and the whole committed. So the pause
// does not depend on how long the sequence is (Llumnix, section 4.2).
#pragma once

#include "actors/worker/worker.hpp"

namespace troupe {

/// Offers a running request to another worker.
void depart(worker_pointer self, const worker_config& config, request_id request, const caf::actor& target);
/// Offers one of the running requests, unless one is on its way already.
void depart_some(worker_pointer self, const worker_config& config, const caf::actor& target);
/// Offers a request that is about to be prefilled; it is moved when that is done, its K and V as they are computed.
/// What the engine has to do for this when it has the request; empty: the request stays here.
engine_task hand_off(worker_pointer self, const worker_config& config, const generation_request& request,
                     const caf::actor& target);
void take_accepted(worker_pointer self, const worker_config& config, const relocation_accepted& accepted);
void take_refused(worker_pointer self, const worker_config& config, const relocation_refused& refused);
void take_done(worker_pointer self, const worker_config& config, const relocation_done& done);
/// The target gave up.
void take_departure_abort(worker_pointer self, const worker_config& config, const abort_relocation& abort);
void take_departure_timeout(worker_pointer self, const worker_config& config, const relocation_late& late);
/// The request is begun anew: where it was going it is not wanted any more.
void drop_departures(worker_pointer self, request_id request);
/// A worker is gone.
void lose_target(worker_pointer self, const worker_config& config, const caf::actor_addr& gone);
/// The engine has turned: hand-offs may have new blocks.
void continue_hand_offs(worker_pointer self, const worker_config& config);

}  // namespace troupe
