// Tenants share a queue: start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) over what requests are expected
// to cost. A request is tagged when it comes, with the later of its tenant's last finish and the queue's virtual time;
// the smallest tag is served first. Within a tenant that is order of arrival; between tenants who always have something
// waiting, service in proportion to their weights; who was away has saved nothing up. No tenant waits for longer than
// one request of each other tenant takes. State of O(active tenants), at most max_tenants: past them, those who are
// ahead the least are taken for new ones. O(log tenants) a request.
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace troupe::policies {

class fair_share {
 public:
  static constexpr std::size_t max_tenants = 65'536;

  /// Tenants without a weight have 1, and so have those with one that is not above 0.
  void set_weight(const std::string& tenant, double weight);

  /// The tag of a request that comes now, of so much cost; negative costs are none.
  double tag(const std::string& tenant, double cost);
  /// A request with this tag leaves the queue to be served.
  void serve(double tag);
  /// Nobody waits and nobody is served: all begin anew, whoever had more before.
  void rest();

  std::size_t tenants() const { return finishes_.size(); }

 private:
  void forget_idle();
  void forget_nearest();

  std::map<std::string, double> weights_;
  std::map<std::string, double> finishes_;  // of tenants that are ahead of the virtual time
  double virtual_time_ = 0;
  std::size_t tags_until_sweep_ = 0;
};

}  // namespace troupe::policies
