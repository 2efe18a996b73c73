// troupe doctor: looks at the machine for what would make serving fail or crawl, and says what to do about it.
#include "cli/exit_codes.hpp"
#include "cli/verbs.hpp"
#include "kernels/table.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/http/server.hpp"
#include "runtime/model/model_config.hpp"
#include "runtime/store/model_store.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <cstdio>
#include <fstream>
#include <limits>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>
#include <sched.h>
#include <sys/resource.h>

namespace troupe::cli {
namespace {

struct doctor_arguments {
  std::string model = "smollm2";
  std::uint16_t port = 8000;
};

enum class verdict : unsigned char { good, warning, bad };

class examination {
 public:
  void note(verdict v, const std::string& what, const std::string& found) {
    static constexpr const char* words[] = {"ok", "warning", "FAILED"};
    std::printf("%-8s %-18s %s\n", words[static_cast<int>(v)], what.c_str(), found.c_str());
    failed_ = failed_ || v == verdict::bad;
  }
  bool failed() const { return failed_; }

 private:
  bool failed_ = false;
};

void examine_processor(examination& exam) {
  const bool fast = kernels::best().isa != "reference";
  exam.note(
      fast ? verdict::good : verdict::warning, "kernels",
      std::string(kernels::best().isa) + (fast ? "" : ": this processor has no AVX2; expect a tenth of the speed"));
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  sched_getaffinity(0, sizeof allowed, &allowed);
  exam.note(verdict::good, "processors", std::to_string(CPU_COUNT(&allowed)) + " may be used");
}

// What programs can have without swapping: free pages and those that only cache files.
std::uint64_t available_kib() {
  std::ifstream memory("/proc/meminfo");
  for (std::string name; memory >> name;) {
    std::uint64_t kib = 0;
    if (name == "MemAvailable:" && memory >> kib) return kib;
    memory.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

void examine_memory(examination& exam) {
  const auto free_mib = available_kib() >> 10;
  exam.note(
      free_mib >= 512 ? verdict::good : verdict::warning, "memory",
      std::to_string(free_mib) + " MiB free" + (free_mib >= 512 ? "" : "; the small model with its cache wants 512"));
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  exam.note(files.rlim_max >= 4096 ? verdict::good : verdict::warning, "open files",
            "limit " + std::to_string(files.rlim_max) +
                (files.rlim_max >= 4096 ? "" : "; raise it (ulimit -Hn) for many streams"));
}

void examine_model(examination& exam, const std::string& name) {
  const auto path = resolve_model(name);
  if (!path) return exam.note(verdict::bad, "model", path.error().message);
  const auto file = gguf_file::open(*path);
  if (!file) return exam.note(verdict::bad, "model", file.error().message);
  if (const auto config = read_model_config(**file); !config)
    return exam.note(verdict::bad, "model", config.error().message);
  if (const auto words = tokenizer::from_gguf(**file); !words)
    return exam.note(verdict::bad, "tokenizer", words.error().message);
  exam.note(verdict::good, "model", path->string());
}

void examine_port(examination& exam, std::uint16_t port) {
  http::options options;
  options.port = port;
  http::server probe(
      options, [](auto, auto) {}, nullptr);
  const auto bound = probe.start();
  exam.note(bound ? verdict::good : verdict::bad, "port " + std::to_string(port),
            bound ? "free" : bound.error().message);
}

}  // namespace

void add_doctor_verb(CLI::App& app, int& exit_code) {
  auto* verb = app.add_subcommand("doctor", "Look at this machine for what would make serving fail or crawl.");
  const auto arguments = std::make_shared<doctor_arguments>();
  verb->add_option("--model,-m", arguments->model, "The model to look at.")->capture_default_str();
  verb->add_option("--port", arguments->port, "The port to look at.")->capture_default_str();
  verb->callback([arguments, &exit_code] {
    examination exam;
    examine_processor(exam);
    examine_memory(exam);
    examine_model(exam, arguments->model);
    examine_port(exam, arguments->port);
    exit_code = exam.failed() ? exit_failed : exit_done;
  });
}

}  // namespace troupe::cli
