// What CAF needs to know of the messages: type ids of those that may leave the process, leave to pass the others by
// pointer. Include it in .cpp files only: CAF takes half a minute to compile.
#pragma once

#include "actors/protocols/request.hpp"
#include "actors/worker/engine_report.hpp"
#include "base/fields.hpp"
#include "base/generation_service.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <caf/all.hpp>

namespace troupe {

/// worker -> scheduler, with the worker's handle as second element, before anything else that it sends: the scheduler
/// drops reports of workers it does not know. It monitors the worker from then on.
struct worker_started {
  worker_id worker;
};

/// gateway -> scheduler: from now on the sender gets a scheduler_report at each change.
struct subscribe_reports {};

/// scheduler -> itself, at a request's deadline.
struct deadline_passed {
  request_id request;
  troupe::epoch epoch;
};

/// gateway -> itself, when a request that lost its worker is due to be submitted again.
struct resubmit_request {
  request_id request;
  troupe::epoch epoch;
};

/// supervisor -> itself, when a worker is due to be started (again).
struct start_worker {
  worker_id worker;
};

TROUPE_FIELDS(worker_started, worker)
TROUPE_FIELDS(subscribe_reports)
TROUPE_FIELDS(deadline_passed, request, epoch)
TROUPE_FIELDS(resubmit_request, request, epoch)
TROUPE_FIELDS(start_worker, worker)

/// client -> gateway, inside one process.
struct local_submit {
  generation_request request;
  std::shared_ptr<generation_observer> observer;
};

}  // namespace troupe

CAF_BEGIN_TYPE_ID_BLOCK(troupe, first_custom_type_id)
CAF_ADD_TYPE_ID(troupe, (troupe::submit_request))
CAF_ADD_TYPE_ID(troupe, (troupe::assign_request))
CAF_ADD_TYPE_ID(troupe, (troupe::token_chunk))
CAF_ADD_TYPE_ID(troupe, (troupe::request_ended))
CAF_ADD_TYPE_ID(troupe, (troupe::cancel_request))
CAF_ADD_TYPE_ID(troupe, (troupe::request_lost))
CAF_ADD_TYPE_ID(troupe, (troupe::load_report))
CAF_ADD_TYPE_ID(troupe, (troupe::scheduler_report))
CAF_ADD_TYPE_ID(troupe, (troupe::worker_started))
CAF_ADD_TYPE_ID(troupe, (troupe::subscribe_reports))
CAF_ADD_TYPE_ID(troupe, (troupe::deadline_passed))
CAF_ADD_TYPE_ID(troupe, (troupe::resubmit_request))
CAF_ADD_TYPE_ID(troupe, (troupe::start_worker))
CAF_END_TYPE_ID_BLOCK(troupe)

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::local_submit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::engine_report)
