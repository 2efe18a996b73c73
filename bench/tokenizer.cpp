// How fast text becomes tokens, on one thread: encoding a file line by line, decoding it again, reading the vocabulary
// from a GGUF file, and the worst word there is (a megabyte without a break). tokenizer_vs_hf.py compares it with
// Hugging Face's.
//
//   bench_tokenizer --model MODEL.gguf [--text FILE] [--json FILE] [--quick]
#include "runtime/tokenizer/tokenizer.hpp"

#include "bench/report.hpp"
#include "runtime/gguf/gguf_file.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

using namespace troupe;

namespace {

template <class Work>
double seconds(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

template <class Value>
Value value_or_exit(result<Value> r) {
  if (r) return *std::move(r);
  std::fprintf(stderr, "bench_tokenizer: %s\n", r.error().message.c_str());
  std::exit(1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

void measure_reading(bench::report& report, const gguf_file& file, int n) {
  bench::claim reading{"read the vocabulary from GGUF", "ms", {}, 60.0, bench::goal::at_most};
  for (int i = 0; i < n; ++i)
    reading.samples.push_back(1e3 * seconds([&] { value_or_exit(tokenizer::from_gguf(file)); }));
  report.add(reading);
}

void measure_text(bench::report& report, const tokenizer& words, std::string_view text, int n) {
  const auto lines = lines_of(text);
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  bench::claim encoding{"encode, one thread", "MB/s", {}, 10.0, bench::goal::at_least};
  bench::claim parsing{"encode with special tokens, one thread", "MB/s", {}, 10.0, bench::goal::at_least};
  bench::claim decoding{"decode, one thread", "MB/s", {}, {}, bench::goal::at_least};
  std::vector<token_id> ids;
  for (int i = 0; i < n; ++i) {
    ids.clear();
    encoding.samples.push_back(megabytes / seconds([&] {
                                 for (const auto line : lines) {
                                   const auto more = words.encode(line, special_tokens::as_text);
                                   ids.insert(ids.end(), more.begin(), more.end());
                                 }
                               }));
    std::size_t n_parsed = 0;
    parsing.samples.push_back(megabytes / seconds([&] {
                                for (const auto line : lines)
                                  n_parsed += words.encode(line, special_tokens::parse).size();
                              }));
    std::string back;
    decoding.samples.push_back(megabytes / seconds([&] { back = words.decode(ids, true); }));
    if (back != text || n_parsed > ids.size()) {
      std::fprintf(stderr, "bench_tokenizer: the text did not survive encoding and decoding\n");
      std::exit(1);
    }
  }
  std::printf("%zu lines, %zu bytes, %zu tokens\n", lines.size(), text.size(), ids.size());
  report.add(encoding);
  report.add(parsing);
  report.add(decoding);
}

void measure_long_words(bench::report& report, const tokenizer& words, int n) {
  for (const std::string_view pattern : {"a", " ", "ab", "the"}) {
    std::string word;
    while (word.size() < 1'000'000)
      word += pattern;
    bench::claim c{"one word of 1 MB of \"" + std::string(pattern) + "\"", "s", {}, 1.0, bench::goal::at_most};
    for (int i = 0; i < n; ++i)
      c.samples.push_back(seconds([&] { words.encode(word, special_tokens::as_text); }));
    report.add(c);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string model;
  std::string text_path = "../shared/data/wikitext2/valid.txt";
  std::string json;
  bool quick = false;
  CLI::App app("How fast text becomes tokens");
  app.add_option("--model", model, "a GGUF file")->required()->envname("TROUPE_TEST_MODEL");
  app.add_option("--text", text_path, "UTF-8 text that holds no special tokens")->capture_default_str();
  app.add_option("--json", json, "where to write the claims");
  app.add_flag("--quick", quick, "fewer repetitions");
  CLI11_PARSE(app, argc, argv);

  std::ifstream in(text_path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (text.empty()) {
    std::fprintf(stderr, "bench_tokenizer: %s is absent or empty; --text names another file\n", text_path.c_str());
    return 1;
  }
  const auto file = value_or_exit(gguf_file::open(model));
  const auto words = value_or_exit(tokenizer::from_gguf(*file));
  bench::report report("tokenizer", argc, argv);
  measure_reading(report, *file, quick ? 5 : 31);
  measure_text(report, *words, text, quick ? 3 : 15);
  measure_long_words(report, *words, quick ? 1 : 5);
  if (!json.empty() && !report.write(json)) {
    std::fprintf(stderr, "bench_tokenizer: cannot write %s\n", json.c_str());
    return 1;
  }
  return 0;
}
