// The registry's store in etcd, so that what a cluster must not forget outlives the head's machine. A member is the key
// PREFIX/members/NAME with {"drained":false,"number":7}. Only the head writes (etcd_head.hpp): every save is a
// transaction on the head's fence and on the member's own revision, so that neither a head that was replaced nor a
// transaction that was given up as unanswered and arrives late can undo what was written since.
//
// A call blocks for two seconds at most (a save that finds its key changed makes two, a load one for each 1000
// members); after one that etcd did not answer, saves fail at once until it does again.
#pragma once

#include "actors/registry/etcd_head.hpp"
#include "actors/registry/registry_store.hpp"

#include <memory>
#include <string_view>

namespace troupe {

/// `location` as of parse_etcd_location(). Takes the cluster's head for as long as the store lives. Errors:
/// invalid_argument (the location), those of etcd_head::take().
result<std::unique_ptr<registry_store>> open_etcd_registry_store(std::string_view location,
                                                                 const etcd_head_options& options);

}  // namespace troupe
