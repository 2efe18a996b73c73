// The tiny random model of an architecture as a file, for tiny_oracle.py: write_tiny_model ARCHITECTURE FILE.
#include "runtime/gguf/tiny_model.hpp"

#include <fstream>
#include <iostream>
#include <string_view>

using namespace troupe;

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: write_tiny_model ARCHITECTURE FILE\n";
    return 2;
  }
  for (const auto architecture :
       {tiny_architecture::llama, tiny_architecture::qwen2, tiny_architecture::qwen3, tiny_architecture::gemma3}) {
    if (to_string(architecture) != std::string_view(argv[1])) continue;
    const bool names_head_dim = architecture != tiny_architecture::llama && architecture != tiny_architecture::qwen2;
    const auto bytes =
        build_tiny_model({.architecture = architecture, .n_layers = 7, .head_dim = names_head_dim ? 32u : 0u});
    std::ofstream out(argv[2], std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return out.flush() ? 0 : 1;
  }
  std::cerr << "write_tiny_model: no architecture " << argv[1] << '\n';
  return 2;
}
