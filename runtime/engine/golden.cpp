#include "runtime/engine/golden.hpp"

#include "runtime/engine/perplexity_comparison.hpp"
#include "runtime/engine/position_runner.hpp"
#include "runtime/gguf/gguf_file.hpp"
#include "runtime/tokenizer/tokenizer.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <optional>

#include <nlohmann/json.hpp>

namespace troupe {
namespace {

using nlohmann::json;

// Where the best token leads by less than this, implementations may rightly go different ways.
constexpr double clear_margin = 1.0;
// Recorded logits and losses of the exact model have four to five digits behind the point.
constexpr double exact_tolerance = 1e-3;

result<std::string> read_text(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return make_error(errc::not_found, "The recording " + path.string() + " cannot be read.");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

result<json> read_json(const std::filesystem::path& path) {
  auto text = read_text(path);
  if (!text) return text.error();
  json parsed = json::parse(*text, nullptr, false);
  if (parsed.is_discarded()) return make_error(errc::corrupt, "The recording " + path.string() + " is not JSON.");
  return parsed;
}

golden_check at_most(std::string name, double value, double bound, std::string unit) {
  return {std::move(name), value, golden_bound::at_most, bound, std::move(unit)};
}

void check_tokenizer(const tokenizer& tokens, const json& recorded, golden_report& report) {
  double wrong_ids = 0;
  double wrong_text = 0;
  for (const json& item : recorded.at("cases")) {
    const auto text = item.at("text").get<std::string>();
    const auto ids = item.at("ids").get<std::vector<token_id>>();
    wrong_ids += tokens.encode(text, special_tokens::as_text) != ids;
    wrong_text += tokens.decode(ids, true) != text;
    const auto special = item.contains("ids_special") ? item.at("ids_special").get<std::vector<token_id>>() : ids;
    wrong_ids += tokens.encode(text, special_tokens::parse) != special;
  }
  report.checks.push_back(at_most("tokenizer: texts with other ids", wrong_ids, 0, "texts"));
  report.checks.push_back(at_most("tokenizer: ids that do not decode to the text", wrong_text, 0, "texts"));
}

std::vector<token_id> greedy(position_runner& runner, const kernels::table& table, std::span<const token_id> prompt,
                             std::size_t n) {
  std::vector<token_id> tokens;
  token_id next = 0;
  const auto choose = [&](std::uint32_t, std::span<const float> logits) {
    next = static_cast<token_id>(table.argmax(logits.data(), logits.size()));
  };
  runner.clear();
  runner.append(prompt, 1, choose);
  while (tokens.size() < n) {
    tokens.push_back(next);
    if (tokens.size() < n) runner.append({&tokens.back(), 1}, 1, choose);
  }
  return tokens;
}

/// Steps before the first unclear margin at which the tokens differ.
std::size_t differing_steps(std::span<const token_id> ours, std::span<const token_id> recorded,
                            std::span<const double> margins) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < recorded.size() && i < margins.size() && margins[i] >= clear_margin; ++i)
    n += i >= ours.size() || ours[i] != recorded[i];
  return n;
}

void check_greedy(position_runner& runner, const kernels::table& table, const json& recorded, golden_report& report) {
  for (const json& prompt : recorded.at("prompts")) {
    const auto peer = prompt.at("greedy_ids").get<std::vector<token_id>>();
    std::vector<token_id> exact;
    std::vector<double> exact_margins;
    for (const json& step : prompt.at("exact").at("greedy")) {
      exact.push_back(step.at(0).get<token_id>());
      exact_margins.push_back(step.at(1).get<double>());
    }
    const auto ours = greedy(runner, table, prompt.at("prompt_ids").get<std::vector<token_id>>(), peer.size());
    const std::size_t differing =
        std::min(differing_steps(ours, exact, exact_margins),
                 differing_steps(ours, peer, prompt.at("greedy_margin").get<std::vector<double>>()));
    report.checks.push_back(at_most("greedy, " + prompt.at("name").get<std::string>() + ": clear steps that differ",
                                    static_cast<double>(differing), 0, "steps"));
  }
}

/// The largest distance of the last position's logits from the exact ones that are recorded.
double worst_logit(position_runner& runner, const json& prompt) {
  const auto probe_ids = prompt.at("last_logits").at("probe_ids").get<std::vector<std::size_t>>();
  const auto probes = prompt.at("exact").at("probe_logits").get<std::vector<double>>();
  double worst = 0.0;
  const auto compare = [&](std::size_t id, double exact, std::span<const float> logits) {
    worst = std::max(worst, id < logits.size() ? std::abs(logits[id] - exact) : HUGE_VAL);
  };
  runner.clear();
  runner.append(prompt.at("prompt_ids").get<std::vector<token_id>>(), 1,
                [&](std::uint32_t, std::span<const float> logits) {
                  for (std::size_t i = 0; i < probe_ids.size(); ++i)
                    compare(probe_ids[i], probes.at(i), logits);
                  for (const json& top : prompt.at("exact").at("top5"))
                    compare(top.at(0).get<std::size_t>(), top.at(1).get<double>(), logits);
                });
  return worst;
}

void check_exact_logits(position_runner& runner, const std::string& name, const json& recorded, golden_report& report) {
  double worst = 0.0;
  for (const json& prompt : recorded.at("prompts"))
    worst = std::max(worst, worst_logit(runner, prompt));
  report.checks.push_back(at_most(name + ": largest distance from an exact logit", worst, exact_tolerance, "logits"));
}

void check_perplexity(decoder_model& tested, decoder_model& exact, const golden_options& options,
                      const tokenizer& tokens, const json& recorded, const std::string& text, golden_report& report) {
  const auto ids = recorded.at("ids").get<std::vector<token_id>>();
  report.checks.push_back(
      at_most("perplexity: text with other ids", tokens.encode(text, special_tokens::as_text) != ids, 0, "texts"));
  const std::size_t window = recorded.at("window").get<std::size_t>();
  std::vector<double> recorded_nll;
  perplexity_comparison comparison(tested, exact, options.kv);
  const auto& windows = recorded.at("windows");
  const std::size_t n_windows = std::min<std::size_t>(windows.size(), options.max_windows);
  for (std::size_t w = 0; w < n_windows; ++w) {
    const std::size_t n = std::min(window, ids.size() - w * window);
    comparison.add_window({ids.data() + w * window, n});
    for (const json& nll : windows.at(w).at("exact_nll"))
      recorded_nll.push_back(nll.get<double>());
  }
  if (n_windows == 0) return;
  const auto computed_nll = comparison.exact_losses();
  double worst = computed_nll.size() == recorded_nll.size() ? 0.0 : HUGE_VAL;
  for (std::size_t i = 0; i < std::min(computed_nll.size(), recorded_nll.size()); ++i)
    worst = std::max(worst, std::abs(computed_nll[i] - recorded_nll[i]));
  report.checks.push_back(
      at_most("perplexity: widened weights, largest distance from an exact loss", worst, exact_tolerance, "nats"));
  comparison.summarise(worst == HUGE_VAL ? computed_nll : recorded_nll, report.checks);
}

result<> run_checks(const golden_options& options, std::shared_ptr<const gguf_file> file, decoder_model& tested,
                    decoder_model& exact, golden_report& report) {
  auto tokens = tokenizer::from_gguf(*file);
  if (!tokens) return tokens.error();
  auto tokenizer_file = read_json(options.directory / "tokenizer.json");
  if (!tokenizer_file) return tokenizer_file.error();
  auto greedy_file = read_json(options.directory / "greedy.json");
  if (!greedy_file) return greedy_file.error();
  auto perplexity_file = read_json(options.directory / "perplexity.json");
  if (!perplexity_file) return perplexity_file.error();
  auto text = read_text(options.directory / "ppl_text.txt");
  if (!text) return text.error();

  constexpr std::uint32_t longest = 1'024;  // of the recorded prompts with their answers
  auto runner = position_runner::create(tested, options.kv, longest);
  if (!runner) return runner.error();
  auto exact_runner = position_runner::create(exact, kernels::kv_type::f32, longest);
  if (!exact_runner) return exact_runner.error();
  try {
    check_tokenizer(**tokens, *tokenizer_file, report);
    check_greedy(*runner, tested.table(), *greedy_file, report);
    check_exact_logits(*exact_runner, "widened weights", *greedy_file, report);
    if (&tested.table() == &kernels::reference()) {
      auto reference_runner = position_runner::create(tested, kernels::kv_type::f32, longest);
      if (!reference_runner) return reference_runner.error();
      check_exact_logits(*reference_runner, "reference kernels", *greedy_file, report);
    }
    check_perplexity(tested, exact, options, **tokens, *perplexity_file, *text, report);
  } catch (const json::exception& failure) {
    return make_error(errc::corrupt, "A recording lacks a field: " + std::string(failure.what()) + ".");
  }
  return {};
}

/// Loads the model twice, as it is and exact, and lets the work fill the report.
template <class Work>
result<golden_report> with_models(const golden_options& options, Work&& work) {
  const auto table = kernels::choose(options.isa);
  if (!table) return table.error();
  auto file = gguf_file::open(options.model);
  if (!file) return file.error();
  thread_pool pool(options.n_threads);
  auto tested = decoder_model::load(*file, **table, pool, {.max_rows = 512, .max_positions = 2'048});
  if (!tested) return tested.error();
  auto exact = decoder_model::load(*file, kernels::best(), pool,
                                   {.max_rows = 512, .max_positions = 2'048, .precision = weight_precision::widened});
  if (!exact) return exact.error();

  golden_report report{.model = options.model.filename().string(),
                       .isa = std::string((*table)->isa),
                       .kv = std::string(kernels::to_string(options.kv)),
                       .checks = {}};
  if (auto done = work(*file, **tested, **exact, report); !done) return done.error();
  return report;
}

}  // namespace

bool golden_report::ok() const {
  return std::all_of(checks.begin(), checks.end(), [](const golden_check& check) { return check.ok(); });
}

result<golden_report> evaluate_golden(const golden_options& options) {
  return with_models(options, [&](std::shared_ptr<const gguf_file> file, decoder_model& tested, decoder_model& exact,
                                  golden_report& report) { return run_checks(options, file, tested, exact, report); });
}

result<golden_report> evaluate_text(const golden_options& options, const std::filesystem::path& path) {
  constexpr std::size_t window = 1'024;
  return with_models(options,
                     [&](std::shared_ptr<const gguf_file> file, decoder_model& tested, decoder_model& exact,
                         golden_report& report) -> result<> {
                       auto tokens = tokenizer::from_gguf(*file);
                       if (!tokens) return tokens.error();
                       auto text = read_text(path);
                       if (!text) return text.error();
                       const auto ids = (*tokens)->encode(*text, special_tokens::as_text);
                       // Each window begins as texts of the model do.
                       const std::vector<token_id> begin = (*tokens)->encode_prompt("", special_tokens::as_text);
                       const std::size_t step = window - begin.size();
                       if (ids.size() < 2 || options.max_windows == 0)
                         return make_error(errc::invalid_argument, "A text of at least two tokens is needed.", "text");
                       perplexity_comparison comparison(tested, exact, options.kv);
                       for (std::size_t w = 0; w < options.max_windows && w * step + 1 < ids.size(); ++w) {
                         std::vector<token_id> part = begin;
                         const auto first = ids.begin() + static_cast<std::ptrdiff_t>(w * step);
                         part.insert(part.end(), first,
                                     first + static_cast<std::ptrdiff_t>(std::min(step, ids.size() - w * step)));
                         comparison.add_window(part);
                       }
                       comparison.summarise(comparison.exact_losses(), report.checks);
                       return {};
                     });
}

}  // namespace troupe
