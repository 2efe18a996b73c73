// How long a thread may run before another one that has woken up meanwhile.
#pragma once

namespace troupe {

/// Asks Linux to take short turns with the calling thread, and so to let it run as soon as it wakes: for threads that
/// pass messages on and hardly compute. Without it such a thread, woken on the processor of one that computes, waits
/// until that one's turn ends, up to 4 ms (since Linux 6.6; from 6.12 on it can be asked for otherwise). Where it
/// cannot be had nothing changes. Needs no privilege.
void take_short_turns();

/// Undoes it, for threads that compute: a thread begins as the one that started it.
void take_ordinary_turns();

}  // namespace troupe
