// How fast text becomes tokens, on one thread: encoding a file line by line, decoding it again, reading the vocabulary
// from a GGUF file, and the worst word there is (a megabyte without a break). tokenizer_vs_hf.py compares it with
// Hugging Face's.
#include "runtime/tokenizer/tokenizer.hpp"

#include "bench/benchmarks.hpp"
#include "bench/clock.hpp"
#include "runtime/gguf/gguf_file.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::bench {
namespace {

template <class Work>
double seconds(Work&& work) {
  const auto start = clock::now();
  work();
  return seconds_since(start);
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

void measure_reading(report& made, const gguf_file& file, int n) {
  claim reading{"read the vocabulary from GGUF", "ms", {}, 60.0, goal::at_most};
  for (int i = 0; i < n; ++i)
    reading.samples.push_back(1e3 * seconds([&] { static_cast<void>(tokenizer::from_gguf(file)); }));
  made.add(reading);
}

result<> measure_text(report& made, const tokenizer& words, std::string_view text, int n) {
  const auto lines = lines_of(text);
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  claim encoding{"encode, one thread", "MB/s", {}, 10.0, goal::at_least};
  claim parsing{"encode with special tokens, one thread", "MB/s", {}, 10.0, goal::at_least};
  claim decoding{"decode, one thread", "MB/s", {}, {}, goal::at_least};
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
    if (back != text || n_parsed > ids.size())
      return make_error(errc::internal, "The text did not survive encoding and decoding.");
  }
  std::printf("%zu lines, %zu bytes, %zu tokens\n", lines.size(), text.size(), ids.size());
  made.add(encoding);
  made.add(parsing);
  made.add(decoding);
  return {};
}

void measure_long_words(report& made, const tokenizer& words, int n) {
  for (const std::string_view pattern : {"a", " ", "ab", "the"}) {
    std::string word;
    while (word.size() < 1'000'000)
      word += pattern;
    claim c{"one word of 1 MB of \"" + std::string(pattern) + "\"", "s", {}, 1.0, goal::at_most};
    for (int i = 0; i < n; ++i)
      c.samples.push_back(seconds([&] { words.encode(word, special_tokens::as_text); }));
    made.add(c);
  }
}

}  // namespace

result<report> tokenizing(const options& wanted) {
  std::ifstream in(wanted.text, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  if (text.empty())
    return make_error(errc::not_found, "'" + wanted.text.string() + "' is absent or empty; --text names another file.",
                      "text");
  const auto file = gguf_file::open(wanted.model);
  if (!file) return file.error();
  const auto words = tokenizer::from_gguf(**file);
  if (!words) return words.error();
  report made("tokenizer");
  measure_reading(made, **file, wanted.quick ? 5 : 31);
  if (auto survived = measure_text(made, **words, text, wanted.quick ? 3 : 15); !survived) return survived.error();
  measure_long_words(made, **words, wanted.quick ? 1 : 5);
  return made;
}

}  // namespace troupe::bench
