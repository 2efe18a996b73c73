// The target's side of a relocation (actors/protocols/relocation.hpp): a request of another worker comes here.
#pragma once

#include "actors/worker/worker.hpp"

namespace troupe {

/// Reserves blocks for the request, or refuses.
void take_offer(worker_pointer self, const worker_config& config, const offer_relocation& offer,
                const caf::actor& source, const caf::actor& gateway);
void take_commit(worker_pointer self, const worker_config& config, const commit_relocation& commit);
/// The source gave up.
void take_arrival_abort(worker_pointer self, const worker_config& config, const abort_relocation& abort);
void take_arrival_timeout(worker_pointer self, const worker_config& config, const arrival_late& late);
/// The request is begun anew here: its older run need not arrive any more.
void drop_arrivals(worker_pointer self, const worker_config& config, request_id request);
/// A worker is gone.
void lose_source(worker_pointer self, const worker_config& config, const caf::actor_addr& gone);

}  // namespace troupe
