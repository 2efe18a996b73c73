// SIGINT, SIGTERM and the end of the terminal, taken by a thread that waits for them; nothing runs in a handler.
#pragma once

#include <chrono>

#include <signal.h>
#include <unistd.h>

namespace troupe::cli {

/// Call before any thread is started: they inherit it.
inline sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  // UCX takes SIGHUP for itself when it is loaded, so a process would outlive the ssh that started it. Whoever was
  // started by nohup has no terminal here.
  if (::isatty(STDIN_FILENO) != 0) sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  return signals;
}

/// The signal that came, waiting at most so long; 0 for none.
inline int take_stop_signal(const sigset_t& signals, std::chrono::milliseconds longest) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(longest);
  const timespec patience{seconds.count(), std::chrono::nanoseconds(longest - seconds).count()};
  const int signal = sigtimedwait(&signals, nullptr, &patience);
  return signal > 0 ? signal : 0;
}

}  // namespace troupe::cli
