// The scheduler looks around: moves requests between workers, away from those that drain, and has workers started and
// stopped. Which and when is policies/llumnix_rescheduling; how a request moves is protocols/relocation.hpp.
#pragma once

#include "actors/scheduler/scheduler.hpp"

namespace troupe {

/// A worker that drains gives its requests away, to whoever has the most room for each. Those that cannot be moved yet,
/// or were refused, are asked for again with a later report.
void move_away(scheduler_pointer self, worker_id draining);

/// One round of migrations, if one is due.
void reschedule(scheduler_pointer self);

/// Whether a worker more or less is wanted. Calls for itself again.
void scale(scheduler_pointer self);

}  // namespace troupe
