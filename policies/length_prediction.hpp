// How long an answer will be: not known before it ends, and most of what a scheduler would like to know. A distribution
// for each kind of request, learnt from the answers that ended; conditional on the tokens drawn so far, so that a
// prediction gets better as an answer goes on and is never below what is there already. Calibrated: the quantile that
// is asked for is shifted until as many answers as promised are shorter than predicted (adaptive conformal inference,
// Gibbs and Candes, NeurIPS 2021). JITServe uses a quantile forest in the same place; a histogram by prompt features
// learns in microseconds, needs no training run and no second process.
#pragma once

#include "base/ids.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

namespace troupe::policies {

/// What is known of a request before its answer.
struct length_features {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t max_tokens = 0;  // no answer is longer; 0: unknown
  std::uint64_t kind = 0;        // requests of one kind are alike: a hash of tenant, workflow and step; 0: unknown
  request_id request{};          // for predictors that know requests one by one
};

class length_predictor {
 public:
  virtual ~length_predictor() = default;
  /// Tokens still to be drawn after n_drawn, at a quantile in (0, 1) of what is thought possible; at least 1.
  virtual double predict_left(const length_features& of, std::uint32_t n_drawn, double quantile) const = 0;
  /// An answer has ended by itself after n_drawn tokens.
  virtual void learn(const length_features& of, std::uint32_t n_drawn) = 0;
};

struct length_histogram_settings {
  std::size_t max_kinds = 256;  // the least recently learnt goes
  double memory = 500;          // answers after which one has lost all but 1/e of its weight
  double few = 10;              // answers that a cell needs before it counts as much as its parent
  double pace = 0.002;  // how far one answer shifts a quantile; its error is about the square root of half of it
};

/// Histograms with bins of equal width in the logarithm of the length, in cells: kind and prompt length, kind, all. A
/// cell with few answers leans on its parent, the last on a wide guess. A quantile between the standard ones is shifted
/// as its neighbours are. 400 bytes a cell, at most 21 cells a kind; a prediction is a pass over three cells, below a
/// microsecond.
class length_histogram final : public length_predictor {
 public:
  static constexpr std::array<double, 5> standard_quantiles{0.25, 0.5, 0.75, 0.9, 0.95};

  explicit length_histogram(const length_histogram_settings& settings = {});
  double predict_left(const length_features& of, std::uint32_t n_drawn, double quantile) const override;
  void learn(const length_features& of, std::uint32_t n_drawn) override;

  /// The share of the answers that were at most as long as predicted before their first token, for the standard
  /// quantile next to this; the quantile itself before any has ended.
  double coverage(double quantile) const;
  std::size_t kinds() const { return kinds_.size(); }

 private:
  static constexpr int n_bins = 17 * 6;  // six an octave, to 131,072 tokens
  static constexpr int n_prompt_buckets = 20;

  using histogram = std::array<float, n_bins>;
  struct cell {
    histogram weights{};
    double total = 0;
  };
  struct kind_cells {
    cell all;
    std::map<int, cell> by_prompt;  // key: log2 of the prompt's length
    std::uint64_t learnt = 0;       // the last time, in answers of all kinds
  };

  static int bin_of(double length);
  static int bucket_of(const length_features& of);
  histogram distribution(const length_features& of) const;
  double calibrated(double quantile) const;
  void add(cell& to, int bin) const;
  void lean(histogram& on, const cell& own) const;

  length_histogram_settings settings_;
  histogram guess_{};  // before anything is known
  cell all_;
  std::map<std::uint64_t, kind_cells> kinds_;
  std::array<double, standard_quantiles.size()> levels_ = standard_quantiles;  // that are asked of the histogram
  std::array<std::uint64_t, standard_quantiles.size()> covered_{};
  std::uint64_t n_learnt_ = 0;
};

}  // namespace troupe::policies
