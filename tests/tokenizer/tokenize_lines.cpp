// The C++ side of oracle.py: reads texts from standard input and writes their ids.
//
//   tokenize_lines MODEL.gguf
//
// Each text comes as a line "<bytes> <text|parse>" and then that many bytes; each answer is one line of ids.
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstddef>
#include <iostream>
#include <string>

using namespace troupe;

namespace {

int answer_all(const tokenizer& words) {
  std::size_t n_bytes = 0;
  std::string mode;
  std::string text;
  while (std::cin >> n_bytes >> mode) {
    std::cin.get();  // the end of the line
    text.resize(n_bytes);
    if (!std::cin.read(text.data(), static_cast<std::streamsize>(n_bytes))) {
      std::cerr << "tokenize_lines: the input ends inside a text\n";
      return 1;
    }
    const char* separator = "";
    for (const token_id id : words.encode(text, mode == "parse" ? special_tokens::parse : special_tokens::as_text)) {
      std::cout << separator << id;
      separator = " ";
    }
    std::cout << '\n';
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: tokenize_lines MODEL.gguf < texts\n";
    return 2;
  }
  std::ios::sync_with_stdio(false);
  const auto file = gguf_file::open(argv[1]);
  if (!file) {
    std::cerr << "tokenize_lines: " << file.error().message << '\n';
    return 1;
  }
  const auto words = tokenizer::from_gguf(**file);
  if (!words) {
    std::cerr << "tokenize_lines: " << words.error().message << '\n';
    return 1;
  }
  return answer_all(**words);
}
