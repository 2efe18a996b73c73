#include "policies/prefix_aware.hpp"

#include "catch.hpp"
#include "dispatch_workers.hpp"

#include <list>
#include <numeric>
#include <string>

using namespace troupe;
using namespace troupe::policies;

namespace {

constexpr auto chunk = static_cast<std::uint32_t>(prefix_directory::chunk_tokens);
constexpr worker_id one{1}, two{2};

/// So many chunks of a prompt, and a few tokens that make no whole one.
std::vector<token_id> prompt_of(std::uint32_t chunks, token_id first = 0) {
  std::vector<token_id> prompt(chunks * chunk + 5);
  std::iota(prompt.begin(), prompt.end(), first);
  return prompt;
}

std::vector<std::uint64_t> chunks_of(std::uint32_t chunks, token_id first = 0, std::string_view tenant = "") {
  return prefix_directory::hash_chunks(prompt_of(chunks, first), tenant);
}

dispatch_worker worker(std::uint32_t id, std::uint32_t tokens, std::uint32_t cached) {
  return {.id = worker_id{id}, .max_requests = 100, .tokens_to_compute = tokens, .cached_tokens = cached};
}

}  // namespace

TEST_CASE("where a prefix is cached a request goes, unless that worker is much busier", "[prefix_aware]") {
  const prefix_aware_dispatch policy(1.25);
  const dispatch_request request{512, 10, 0};
  CHECK(policy.choose(request, std::vector{worker(1, 0, 0), worker(2, 0, 448)}, 0) == two);
  CHECK(policy.choose(request, std::vector{worker(1, 0, 64), worker(2, 0, 448)}, 0) == two);
  // A little busier: the prefix is worth it. Four thousand tokens are not.
  CHECK(policy.choose(request, std::vector{worker(1, 0, 0), worker(2, 500, 448)}, 0) == two);
  CHECK(policy.choose(request, std::vector{worker(1, 0, 0), worker(2, 4000, 448)}, 0) == one);
  // Without a prefix: the least loaded.
  CHECK(policy.choose(request, std::vector{worker(1, 300, 0), worker(2, 200, 0)}, 0) == two);
  // More cached than the prompt has counts as all of it.
  CHECK(policy.choose(request, std::vector{worker(1, 0, 512), worker(2, 0, 4096)}, 0) == one);
  // All are as busy as each other: nobody is much busier.
  CHECK(policy.choose(request, std::vector{worker(1, 9000, 0), worker(2, 9000, 64)}, 0) == two);
}

TEST_CASE("prefix-aware dispatch is the brute-force optimum of what it says", "[prefix_aware]") {
  random_stream random(21);
  for (int round = 0; round < 5000; ++round) {
    const auto workers = random_workers(random);
    const auto request = random_request(random);
    const double factor = 0.25 * small(random, 9);
    const auto load = [](const dispatch_worker& w) { return w.tokens_to_compute + w.requests; };
    double sum = 0;
    int n = 0;
    for (const auto& w : workers)
      if (!w.draining && w.requests < w.max_requests) sum += load(w), ++n;
    const auto busy = [&](const dispatch_worker& w) {
      return load(w) > factor * (sum / n) + request.prompt_tokens + 1;
    };
    const auto cached = [&](const dispatch_worker& w) { return std::min(w.cached_tokens, request.prompt_tokens); };
    const auto expected = search_best(workers, [&](const dispatch_worker& a, const dispatch_worker& b) {
      if (busy(a) != busy(b)) return busy(b);
      if (cached(a) != cached(b)) return cached(a) > cached(b);
      return load(a) < load(b);
    });
    CAPTURE(round);
    REQUIRE(prefix_aware_dispatch(factor).choose(request, workers, 0) == expected);
  }
}

TEST_CASE("only whole chunks count, and only from the beginning on", "[prefix_aware]") {
  prefix_directory directory(100);
  CHECK(chunks_of(3).size() == 3);
  CHECK(prefix_directory::hash_chunks({}, "").empty());
  directory.remember(chunks_of(3), one);
  CHECK(directory.cached_tokens(chunks_of(3), one) == 3 * chunk);
  CHECK(directory.cached_tokens(chunks_of(5), one) == 3 * chunk);
  CHECK(directory.cached_tokens(chunks_of(2), one) == 2 * chunk);
  CHECK(directory.cached_tokens(chunks_of(3), two) == 0);
  // The same second chunk behind another first one is another prefix.
  auto other = prompt_of(3);
  other[0] = 999'999;
  CHECK(directory.cached_tokens(prefix_directory::hash_chunks(other, ""), one) == 0);
  // A difference in the middle keeps what is before it.
  auto middle = prompt_of(3);
  middle[chunk + 1] = -1;
  CHECK(directory.cached_tokens(prefix_directory::hash_chunks(middle, ""), one) == chunk);
}

TEST_CASE("the directory is bounded and forgets a prefix from its end", "[prefix_aware]") {
  prefix_directory directory(8);
  directory.remember(chunks_of(5), one);
  directory.remember(chunks_of(5, 1'000'000), two);
  CHECK(directory.size() == 8);
  CHECK(directory.cached_tokens(chunks_of(5), one) == 3 * chunk);
  CHECK(directory.cached_tokens(chunks_of(5, 1'000'000), two) == 5 * chunk);
  // Used again, it is the other one's turn to go.
  directory.remember(chunks_of(3), one);
  directory.remember(chunks_of(2, 2'000'000), one);
  CHECK(directory.size() == 8);
  CHECK(directory.cached_tokens(chunks_of(5), one) == 3 * chunk);
  CHECK(directory.cached_tokens(chunks_of(5, 1'000'000), two) == 3 * chunk);
  // A prompt that is longer than the whole directory keeps its beginning.
  directory.remember(chunks_of(20, 3'000'000), two);
  CHECK(directory.size() == 8);
  CHECK(directory.cached_tokens(chunks_of(20, 3'000'000), two) == 8 * chunk);
}

TEST_CASE("a directory without room keeps nothing", "[prefix_aware]") {
  prefix_directory directory(0);
  directory.remember(chunks_of(3), one);
  CHECK(directory.size() == 0);
  CHECK(directory.cached_tokens(chunks_of(3), one) == 0);
}

TEST_CASE("a worker that is gone is forgotten, the others are not", "[prefix_aware]") {
  prefix_directory directory(100);
  directory.remember(chunks_of(4), one);
  directory.remember(chunks_of(4), two);
  directory.forget(one);
  CHECK(directory.size() == 4);
  CHECK(directory.cached_tokens(chunks_of(4), one) == 0);
  CHECK(directory.cached_tokens(chunks_of(4), two) == 4 * chunk);
  directory.forget(worker_id{77});
  CHECK(directory.size() == 4);
}

TEST_CASE("tenants never share a prefix, whatever they are called", "[prefix_aware]") {
  prefix_directory directory(1000);
  directory.remember(chunks_of(4, 0, "a"), one);
  for (const char* other : {"", "b", "aa", "A"})
    CHECK(directory.cached_tokens(chunks_of(4, 0, other), one) == 0);
  // A tenant's name must not pass for the beginning of a prompt: chunks of one tenant's are none of another's.
  const std::string name(chunk, 'x');
  auto prompt = std::vector<token_id>(chunk, token_id{'x'});
  const auto rest = prompt_of(2);
  prompt.insert(prompt.end(), rest.begin(), rest.end());
  const auto pretended = prefix_directory::hash_chunks(prompt, "");
  for (const auto hash : prefix_directory::hash_chunks(rest, name))
    CHECK(std::ranges::find(pretended, hash) == pretended.end());
}

TEST_CASE("the directory is what a plain list ordered by use says", "[prefix_aware]") {
  random_stream random(22);
  prefix_directory directory(30);
  std::list<std::pair<std::uint64_t, worker_id>> plain;  // the latest first
  for (int round = 0; round < 3000; ++round) {
    const auto chunks = chunks_of(1 + small(random, 6), static_cast<token_id>(10'000 * random.below(5)));
    const worker_id at{small(random, 3)};
    std::uint32_t expected = 0;
    for (const auto hash : chunks) {
      if (std::ranges::find(plain, std::pair(hash, at)) == plain.end()) break;
      expected += chunk;
    }
    REQUIRE(directory.cached_tokens(chunks, at) == expected);
    if (random.below(50) == 0) {
      directory.forget(at);
      std::erase_if(plain, [&](const auto& each) { return each.second == at; });
    } else {
      directory.remember(chunks, at);
      for (auto hash = chunks.rbegin(); hash != chunks.rend(); ++hash) {
        plain.remove(std::pair(*hash, at));
        plain.emplace_front(*hash, at);
        if (plain.size() > 30) plain.pop_back();
      }
    }
    REQUIRE(directory.size() == plain.size());
  }
}
