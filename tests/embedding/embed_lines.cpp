// The C++ side of oracle.py: reads texts from standard input and writes their tokens or their vectors.
//
//   embed_lines FOLDER [KERNELS]
//
// Each text comes as a line "<bytes> <tokens|vector>" and then that many bytes; each answer is one line.
#include "runtime/embedding/sentence_embedder.hpp"

#include <array>
#include <cstddef>
#include <iostream>
#include <span>
#include <string>

using namespace troupe;

namespace {

template <class Items>
void print_line(const Items& items) {
  const char* separator = "";
  for (const auto& item : items) {
    std::cout << separator << item;
    separator = " ";
  }
  std::cout << '\n';
}

int answer_all(sentence_embedder& embedder) {
  constexpr std::size_t no_limit = std::size_t{1} << 30;
  std::size_t n_bytes = 0;
  std::string mode;
  std::string text;
  std::vector<float> vector(embedder.dimensions());
  std::cout.precision(9);
  while (std::cin >> n_bytes >> mode) {
    std::cin.get();  // the end of the line
    text.resize(n_bytes);
    if (!std::cin.read(text.data(), static_cast<std::streamsize>(n_bytes))) {
      std::cerr << "embed_lines: the input ends inside a text\n";
      return 1;
    }
    if (mode == "tokens") {
      print_line(embedder.tokenizer().encode(text, no_limit));
      continue;
    }
    const auto tokens = embedder.tokens_of(text, "the text");
    if (!tokens) {
      std::cerr << "embed_lines: " << tokens.error().message << '\n';
      return 1;
    }
    const std::array<std::span<const token_id>, 1> batch{*tokens};
    embedder.encoder().encode(batch, vector.data());
    print_line(vector);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: embed_lines FOLDER [KERNELS] < texts\n";
    return 2;
  }
  std::ios::sync_with_stdio(false);
  const auto table = kernels::choose(argc > 2 ? argv[2] : "");
  if (!table) {
    std::cerr << "embed_lines: " << table.error().message << '\n';
    return 1;
  }
  thread_pool pool(0);
  const auto embedder = sentence_embedder::load(argv[1], **table, pool);
  if (!embedder) {
    std::cerr << "embed_lines: " << embedder.error().message << '\n';
    return 1;
  }
  return answer_all(**embedder);
}
