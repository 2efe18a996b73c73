// HexGen-Text2SQL (Hexgen-Flow): calls of multi-stage queries over unequal instances. Globally, a call goes where it is
// quick, weighed against where there is much to do already; locally, the call with the least slack is served first
// (policies/local_order: urgency). How a query's objective is shared among its stages: program_history.hpp.
//
//   dispatch to   argmax_e  alpha (T_base / T_e) - (1 - alpha) (W_e / W_base)
//
// T_e: the call alone on e, T_base: on the quickest. W_e: predicted work of e that is not done, W_base: their mean. In
// the artifact W only ever grows and is halved for slow engines, so that alpha decides everything; that is `cumulative`
// here, without the halving. Pure; O(workers).
#pragma once

#include "policies/dispatch.hpp"

#include <span>

namespace troupe::policies {

struct hexgen_settings {
  double alpha = 0.2;
  bool cumulative = false;
};

class hexgen_dispatch final : public dispatch_policy {
 public:
  explicit hexgen_dispatch(hexgen_settings settings) : settings_(settings) {}
  std::string_view name() const override { return "hexgen_text2sql"; }
  std::optional<worker_id> choose(const dispatch_request& request, std::span<const dispatch_worker> workers,
                                  std::uint64_t turn) const override;

 private:
  hexgen_settings settings_;
};

/// A call alone on a worker, s; 0 when its pace is not known.
double time_alone(const dispatch_request& request, const dispatch_worker& worker);

}  // namespace troupe::policies
