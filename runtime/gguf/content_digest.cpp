#include "runtime/gguf/content_digest.hpp"

#include "runtime/gguf/gguf_parser.hpp"

#include <algorithm>
#include <memory>
#include <new>

#include <xxhash.h>

namespace troupe::gguf {
namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t pages_per_tensor = 16;

using hash_state = std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)>;

void add(const hash_state& state, std::span<const std::byte> bytes) {
  XXH3_128bits_update(state.get(), bytes.data(), bytes.size());
}

void add_pages(const hash_state& state, std::span<const std::byte> data) {
  if (data.size() <= pages_per_tensor * page_bytes) return add(state, data);
  const std::size_t last = data.size() - page_bytes;
  for (std::size_t i = 0; i + 1 < pages_per_tensor; ++i)
    add(state, data.subspan(last / (pages_per_tensor - 1) * i, page_bytes));
  add(state, data.subspan(last));
}

}  // namespace

content_digest compute_digest(const contents& contents) {
  const hash_state state(XXH3_createState(), XXH3_freeState);
  if (!state) throw std::bad_alloc();
  XXH3_128bits_reset(state.get());
  add(state, contents.bytes.first(std::min<std::size_t>(contents.data_start, contents.bytes.size())));
  for (const std::uint32_t offset : contents.tensors)
    add_pages(state, contents.tensor_at(offset).data);
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  return {hash.low64, hash.high64};
}

}  // namespace troupe::gguf
