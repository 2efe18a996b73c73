#include "simulator/trace_files.hpp"

#include "catch.hpp"
#include "policies/approximately.hpp"
#include "simulator/cost_models.hpp"
#include "simulator/trace_selection.hpp"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include <unistd.h>

using namespace troupe;
using namespace troupe::simulator;

namespace {

std::filesystem::path samples() {
  const char* data = std::getenv("TROUPE_TEST_DATA");
  return std::filesystem::path(data != nullptr ? data : "tests/data") / "traces";
}

/// A file for as long as this lives.
class made_file {
 public:
  explicit made_file(const std::string& text)
      : path_(std::filesystem::temp_directory_path() / ("troupe_trace_" + std::to_string(getpid()) + ".txt")) {
    std::ofstream(path_, std::ios::binary) << text;
  }
  made_file(const made_file&) = delete;
  made_file& operator=(const made_file&) = delete;
  ~made_file() { std::filesystem::remove(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

double seconds(duration of) {
  return std::chrono::duration<double>(of).count();
}

struct bad_file {
  trace_format format;
  std::string text;
  std::string param;  // of the error
  std::string place;  // "FILE:2:" as in the message; empty: no line
};

const std::string azure = "arrival_s,context_tokens,generated_tokens\n";
const std::string hexgen = "request,call,stage,step,input_tokens,output_tokens\n";
const std::string lengths_header = "prefill_tokens,decode_tokens\n";

}  // namespace

TEST_CASE("traces of every form are read", "[trace_files]") {
  const auto rows = read_trace(trace_format::azure, samples() / "azure.csv");
  REQUIRE(rows);
  CHECK(rows->size() == 40);
  CHECK(rows->front().arrival == duration(0));
  CHECK(rows->front().stages[0][0].prompt_tokens > 0);

  const auto prefixed = read_trace(trace_format::mooncake, samples() / "mooncake.jsonl");
  REQUIRE(prefixed);
  CHECK(prefixed->size() == 30);
  for (const auto& program : *prefixed) {
    const auto& call = program.stages.at(0).at(0);
    CHECK(call.prefix.size() == (call.prompt_tokens + 511) / 512);
    CHECK(call.prefix.front() == 0);
  }

  const auto agents = read_trace(trace_format::hexgen, samples() / "hexgen.csv", {.workflow = "sql"});
  REQUIRE(agents);
  REQUIRE(agents->size() == 4);
  REQUIRE(agents->front().stages.size() == 4);
  CHECK(agents->front().stages[3].size() == 3);
  CHECK(agents->front().stages[1][0].step == "draft");
  CHECK(agents->front().workflow == "sql");

  const auto lengths = read_trace(trace_format::lengths, samples() / "lengths.csv");
  REQUIRE(lengths);
  CHECK(lengths->size() == 25);
}

TEST_CASE("chats are as long as their characters say, or as they are counted", "[trace_files]") {
  const auto estimated = read_trace(trace_format::chat, samples() / "chat.jsonl");
  REQUIRE(estimated);
  REQUIRE(estimated->size() == 4);  // one answer, two, none, one
  const auto& first = estimated->front().stages[0][0];
  CHECK(first.prompt_tokens == 10);  // "Say hello to a neighbour in two words.", 38 characters
  CHECK(first.output_tokens == 4);   // "Good morning!", 13
  CHECK(estimated->front().kind == "made_up");
  // The second turn's prompt has the first turn and its answer in front.
  CHECK((*estimated)[2].stages[0][0].prompt_tokens == 6 + 3 + 4);
  // 16 characters, 17 bytes.
  CHECK((*estimated)[3].stages[0][0].prompt_tokens == 4);
  const auto counted =
      read_trace(trace_format::chat, samples() / "chat.jsonl", {.count_tokens = [](std::string_view) { return 7u; }});
  REQUIRE(counted);
  CHECK((*counted)[2].stages[0][0].prompt_tokens == 21);
}

TEST_CASE("what is wrong with a trace is said with its line and field", "[trace_files]") {
  using enum trace_format;
  const std::vector<bad_file> bad{
      {azure, "", "file", ""},
      {azure, "arrival_s,context_tokens\n0,1\n", "header", ":1:"},
      {azure, "a,b,c\n0,1,2\n", "header", ":1:"},
      {azure, ::azure, "row", ":2:"},
      {azure, ::azure + "0,1\n", "generated_tokens", ":2:"},
      {azure, ::azure + "0,1,2,3\n", "generated_tokens", ":2:"},
      {azure, ::azure + "0,,2\n", "context_tokens", ":2:"},
      {azure, ::azure + ",1,2\n", "arrival_s", ":2:"},
      {azure, ::azure + "0,1,2\n1,x,2\n", "context_tokens", ":3:"},
      {azure, ::azure + "0,1.5,2\n", "context_tokens", ":2:"},
      {azure, ::azure + "0,0,2\n", "context_tokens", ":2:"},
      {azure, ::azure + "0,1,-2\n", "generated_tokens", ":2:"},
      {azure, ::azure + "0,1,0\n", "generated_tokens", ":2:"},
      {azure, ::azure + "0,1,99999999999\n", "generated_tokens", ":2:"},
      {azure, ::azure + "-1,1,2\n", "arrival_s", ":2:"},
      {azure, ::azure + "nan,1,2\n", "arrival_s", ":2:"},
      {azure, ::azure + "inf,1,2\n", "arrival_s", ":2:"},
      {azure, ::azure + "1e300,1,2\n", "arrival_s", ":2:"},
      {azure, ::azure + "1,1,2\n3,1,2\n2,1,2\n", "arrival_s", ":4:"},
      {azure, ::azure + "0,1,2\n\n", "context_tokens", ":3:"},
      {azure, ::azure + "0,1,2\n" + std::string(3, '\0'), "context_tokens", ":3:"},
      {azure, ::azure + "0,1,2x\n", "generated_tokens", ":2:"},
      {azure, ::azure + "0,1,\"2\n", "row", ":2:"},
      {lengths, "prefill_tokens\n1\n", "header", ":1:"},
      {lengths, lengths_header + "1,0\n", "decode_tokens", ":2:"},
      {hexgen, ::hexgen + "0,0,0,,1,2\n", "step", ":2:"},
      {hexgen, ::hexgen + "0,1,0,a,1,2\n", "call", ":2:"},
      {hexgen, ::hexgen + "0,0,0,a,1,2\n0,2,1,a,1,2\n", "call", ":3:"},
      {hexgen, ::hexgen + "0,0,1,a,1,2\n", "stage", ":2:"},
      {hexgen, ::hexgen + "0,0,0,a,1,2\n0,1,2,a,1,2\n", "stage", ":3:"},
      {hexgen, ::hexgen + "0,0,0,a,1,2\n0,1,1,a,1,2\n0,2,0,a,1,2\n", "stage", ":4:"},
      {hexgen, ::hexgen + "1,0,0,a,1,2\n0,0,0,a,1,2\n", "request", ":3:"},
      {hexgen, ::hexgen + "0,0,0,a,0,2\n", "input_tokens", ":2:"},
      {mooncake, "[1]\n", "line", ":1:"},
      {mooncake, "{\"timestamp\": 0\n", "line", ":1:"},
      {mooncake, R"({"input_length": 1, "output_length": 1, "hash_ids": [1]})", "timestamp", ":1:"},
      {mooncake, R"({"timestamp": -1, "input_length": 1, "output_length": 1, "hash_ids": [1]})", "timestamp", ":1:"},
      {mooncake, R"({"timestamp": "0", "input_length": 1, "output_length": 1, "hash_ids": [1]})", "timestamp", ":1:"},
      {mooncake, R"({"timestamp": 0, "input_length": 0, "output_length": 1, "hash_ids": []})", "input_length", ":1:"},
      {mooncake, R"({"timestamp": 0, "input_length": 1, "hash_ids": [1]})", "output_length", ":1:"},
      {mooncake, R"({"timestamp": 0, "input_length": 1, "output_length": 1})", "hash_ids", ":1:"},
      {mooncake, R"({"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": 1})", "hash_ids", ":1:"},
      {mooncake, R"({"timestamp": 0, "input_length": 513, "output_length": 1, "hash_ids": [1]})", "hash_ids", ":1:"},
      {mooncake, R"({"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [-1]})", "hash_ids", ":1:"},
      {mooncake, R"({"timestamp": 0, "input_length": 1, "output_length": 1, "hash_ids": [1]} x)", "line", ":1:"},
      {mooncake,
       "{\"timestamp\": 9, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [1]}\n"
       "{\"timestamp\": 8, \"input_length\": 1, \"output_length\": 1, \"hash_ids\": [1]}\n",
       "timestamp", ":2:"},
      {chat, R"({"turns": ["a"], "reference": ["b"]})", "source", ":1:"},
      {chat, R"({"source": "s", "reference": ["b"]})", "turns", ":1:"},
      {chat, R"({"source": "s", "turns": [], "reference": []})", "turns", ":1:"},
      {chat, R"({"source": "s", "turns": [""], "reference": ["b"]})", "turns", ":1:"},
      {chat, R"({"source": "s", "turns": ["a"], "reference": [3]})", "reference", ":1:"},
      {chat, R"({"source": "s", "turns": ["a"], "reference": ["b", "c"]})", "reference", ":1:"},
      {chat, R"({"source": "s", "turns": ["a"], "reference": []})", "reference", ":1:"},
      {chat, "\n", "line", ":1:"},
  };
  for (const auto& each : bad) {
    INFO(each.text);
    const made_file file(each.text);
    const auto read = read_trace(each.format, file.path());
    REQUIRE_FALSE(read);
    INFO(read.error().message);
    CHECK(read.error().param == each.param);
    CHECK(read.error().message.find(file.path().string() + each.place) != std::string::npos);
  }
  for (const auto format : {azure, mooncake, hexgen, trace_format::lengths, chat}) {
    const auto missing = read_trace(format, "/nonexistent/trace");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().message.find("/nonexistent/trace") != std::string::npos);
    CHECK_FALSE(read_trace(format, std::filesystem::temp_directory_path()));
  }
}

TEST_CASE("time that goes backwards is sorted when that is wanted", "[trace_files]") {
  const made_file file(azure + "3,5,1\n1,6,1\n2,7,1\n");
  const auto read = read_trace(trace_format::azure, file.path(), {.sort = true});
  REQUIRE(read);
  CHECK((*read)[0].stages[0][0].prompt_tokens == 6);
  CHECK((*read)[2].stages[0][0].prompt_tokens == 5);
}

TEST_CASE("both line ends, quotes and a last line without one are taken", "[trace_files]") {
  const made_file file("request,call,stage,step,input_tokens,output_tokens\r\n0,0,0,\"a, \"\"b\"\"\",5,6");
  const auto read = read_trace(trace_format::hexgen, file.path());
  REQUIRE(read);
  CHECK(read->front().stages[0][0].step == "a, \"b\"");
}

TEST_CASE("a part of a trace, faster and shorter", "[trace_files]") {
  workload trace;
  for (int i = 0; i < 10; ++i)
    trace.push_back(lone_request(std::chrono::seconds(10 * i), 100 + i, 10));
  const auto part = select(trace, {.from_s = 20,
                                   .until_s = 80,
                                   .skip = 1,
                                   .limit = 3,
                                   .speed_up = 2,
                                   .prompt_scale = 0.5,
                                   .answer_scale = 0.01,
                                   .longest_prompt = 52});
  REQUIRE(part);
  REQUIRE(part->size() == 3);
  CHECK(part->front().arrival == duration(0));
  CHECK(seconds((*part)[2].arrival) == approximately(10));
  CHECK((*part)[0].stages[0][0].prompt_tokens == 52);
  CHECK((*part)[2].stages[0][0].prompt_tokens == 52);
  CHECK((*part)[0].stages[0][0].output_tokens == 1);
  CHECK(mean_rate(*part) == approximately(0.2));
  CHECK_FALSE(select(trace, {.from_s = 1000}));
  CHECK_FALSE(select(trace, {.skip = 10}));
}

TEST_CASE("scaled prompts share what whole blocks they shared", "[trace_files]") {
  workload trace;
  for (const std::uint64_t tail : {100, 200}) {
    trace.push_back(lone_request(duration(0), 512 * 9 + 10, 10));
    for (std::uint64_t i = 0; i < 10; ++i)
      trace.back().stages[0][0].prefix.push_back(i < 6 ? i : tail + i);
  }
  const auto made = select(trace, {.prompt_scale = 0.25});
  REQUIRE(made);
  const auto& one = (*made)[0].stages[0][0];
  const auto& two = (*made)[1].stages[0][0];
  CHECK(one.prompt_tokens == 1155);  // 4618 / 4, rounded
  // Blocks 0 to 3, 4 to 7, 8 and 9 of the trace: the first is common, the second only in part.
  REQUIRE(one.prefix.size() == 3);
  CHECK(one.prefix[0] == 3);
  CHECK(one.prefix[0] == two.prefix[0]);
  CHECK(one.prefix[1] == 107);
  CHECK(two.prefix[1] == 207);
  CHECK(one.prefix[2] == 109);
}

TEST_CASE("step times give what a token costs", "[trace_files]") {
  const auto rows = read_step_times(samples() / "step_times.csv");
  REQUIRE(rows);
  REQUIRE(rows->size() == 3);
  CHECK((*rows)[1].step == "draft");
  // Made of 0.2 ms a prompt token and 10 ms a token of the answer.
  const auto fast = fit_step_times(*rows, "fast");
  REQUIRE(fast);
  CHECK(fast->prompt.per_token_ms == approximately(0.2).epsilon(0.01));
  CHECK(fast->decoding.base_ms == approximately(10).epsilon(0.01));
  const auto slow = fit_step_times(*rows, "slow");
  REQUIRE(slow);
  CHECK(slow->decoding.base_ms == approximately(20).epsilon(0.01));
  CHECK(fit_step_times(*rows, "none").error().param == "gpu");
  const made_file zero("step,mean_input_tokens,mean_output_tokens,a_s\nx,1,2,0\n");
  CHECK(read_step_times(zero.path()).error().param == "a_s");
}

TEST_CASE("the shared traces are read whole", "[trace_files]") {
  const char* shared = std::getenv("TROUPE_SHARED");
  const auto data = std::filesystem::path(shared != nullptr ? shared : "../shared") / "data";
  const auto check = [&](trace_format format, const char* name, std::size_t n) {
    if (!std::filesystem::exists(data / name)) {
      WARN("no " << name << " in the shared data; not read");
      return;
    }
    const auto read = read_trace(format, data / name);
    INFO((read ? std::string() : read.error().message));
    REQUIRE(read);
    CHECK(read->size() == n);
  };
  check(trace_format::azure, "azure_llm_2023/conv.csv", 19'366);
  check(trace_format::mooncake, "mooncake_fast25/conversation_trace.jsonl", 12'031);
  check(trace_format::hexgen, "hexgen_text2sql_traces/trace1.csv", 70);
  check(trace_format::lengths, "vidur_profiles/lengths_arxiv_summarization.csv", 28'257);
  check(trace_format::chat, "chat_prompts/prompts.jsonl", 332);
}
