// Rule 5 on the real model and 200 real prompts: alone, in batches of 2 to 16, chunked at several sizes, with and
// without prefix hits, the tokens and the bits of their logprobs and of the five best alternatives are the same.
#include "engine_harness.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>

#include <nlohmann/json.hpp>

using namespace troupe;
using namespace troupe::testing;

namespace {

constexpr std::size_t n_prompts = 200;
constexpr std::size_t longest_prompt = 160;  // tokens; what is longer is cut, to keep the test's time in bounds
constexpr std::uint32_t answer_tokens = 6;

// First turns of chats, then mathematics questions. Empty when the data is not there.
std::vector<std::string> read_prompts() {
  const char* shared = std::getenv("TROUPE_SHARED");
  if (shared == nullptr) return {};
  std::vector<std::string> texts;
  const auto read = [&](const char* name, auto&& text_of) {
    std::ifstream file(std::string(shared) + name);
    for (std::string line; texts.size() < n_prompts && std::getline(file, line);)
      texts.push_back(text_of(nlohmann::json::parse(line)));
  };
  read("/data/chat_prompts/prompts.jsonl",
       [](const auto& entry) { return entry.at("turns").at(0).template get<std::string>(); });
  read("/data/gsm8k/train.jsonl", [](const auto& entry) { return entry.at("question").template get<std::string>(); });
  return texts;
}

std::vector<generation_request> make_requests(const tokenizer& vocabulary, const std::vector<std::string>& texts) {
  std::vector<generation_request> requests;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    generation_request request;
    request.prompt = vocabulary.encode(texts[i], special_tokens::as_text);
    if (request.prompt.size() > longest_prompt) request.prompt.resize(longest_prompt);
    request.sampling.max_tokens = answer_tokens;
    request.sampling.temperature = i % 2 ? 0.8f : 0.0f;
    request.sampling.seed = i;
    request.sampling.logprobs = 5;
    request.sampling.ignore_eos = true;
    requests.push_back(std::move(request));
  }
  return requests;
}

// All requests in batches of `batch`, each sequence granted up to `chunk` tokens a step.
std::vector<stream> run_all(tiny_engine& engine, const std::vector<generation_request>& requests, std::size_t batch,
                            std::uint32_t chunk) {
  std::vector<stream> streams;
  for (std::size_t begin = 0; begin < requests.size(); begin += batch) {
    std::vector<sequence_id> ids;
    for (std::size_t i = begin; i < std::min(begin + batch, requests.size()); ++i)
      ids.push_back(engine.add(requests[i]));
    engine.run(chunk);
    for (const auto id : ids)
      streams.push_back(engine.of(id));
  }
  return streams;
}

void check_rule_5(const std::string& isa, const char* model, const std::vector<std::string>& texts) {
  cpu_engine_options plain;
  plain.prefix_caching = false;
  plain.isa = isa;
  tiny_engine uncached(plain, std::filesystem::path(model));
  const auto requests = make_requests(uncached.vocabulary(), texts);
  const auto expected = run_all(uncached, requests, 1, 512);
  const auto check = [&](const std::vector<stream>& got, const std::string& how) {
    std::size_t different = 0;
    for (std::size_t i = 0; i < got.size(); ++i)
      different += same(got[i], expected[i]) ? 0 : 1;
    CAPTURE(how);
    CHECK(got.size() == n_prompts);
    CHECK(different == 0);
  };
  for (const std::size_t batch : {2, 5, 16})
    check(run_all(uncached, requests, batch, 512), "batch of " + std::to_string(batch));
  for (const std::uint32_t chunk : {7u, 48u})
    check(run_all(uncached, requests, 16, chunk), "chunks of " + std::to_string(chunk));

  cpu_engine_options caching;
  caching.isa = isa;
  tiny_engine cached(caching, std::filesystem::path(model));
  check(run_all(cached, requests, 8, 512), "first time through the prefix cache");
  const auto again = run_all(cached, requests, 8, 512);
  check(again, "from the prefix cache");
  std::uint64_t hits = 0;
  for (const auto& stream : again)
    hits += stream.usage.cached_tokens;
  CHECK(hits > 1000);
}

}  // namespace

TEST_CASE("rule 5 on 200 real prompts, on every instruction set of this machine", "[engine][rule5][real]") {
  const char* model = std::getenv("TROUPE_TEST_MODEL");
  const auto texts = read_prompts();
  if (model == nullptr || *model == '\0' || texts.size() < n_prompts) {
    std::cout << "skipped: needs TROUPE_TEST_MODEL and the shared prompts\n";
    return;
  }
  for (const kernels::table* table : kernels::available()) {
    if (table == &kernels::reference()) continue;  // minutes for each batch
    CAPTURE(table->isa);
    check_rule_5(std::string(table->isa), model, texts);
  }
}
