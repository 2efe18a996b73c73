// How near the kernels come to what one core can do: matrices of decode shape against its read bandwidth, matrices of
// prefill shape against its peak of 8-bit products, attention at short and long context, and the small operations.
//
// One thread. Times are of the thread's own clock, so that other work on the machine is felt through caches and memory
// only. Every round measures every claim once, the limits of the machine among them, so that all see the same weather.
#include "bench/benchmarks.hpp"
#include "bench/machine_limits.hpp"
#include "kernels/half.hpp"
#include "kernels/table.hpp"

#include <cstdint>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

namespace troupe::bench {
namespace {

using namespace troupe::kernels;

double thread_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Seconds of one run of the work, measured over at least `least` seconds.
template <class Work>
double seconds_each(double least, Work&& work) {
  for (std::size_t runs = 1;; runs *= 2) {
    const double start = thread_seconds();
    for (std::size_t i = 0; i < runs; ++i)
      work();
    const double taken = thread_seconds() - start;
    if (taken >= least) return taken / static_cast<double>(runs);
  }
}

/// Memory aligned to 64 bytes, filled with small numbers that are ordinary whatever reads them.
class buffer {
 public:
  explicit buffer(std::size_t size)
      : size_(size), bytes_(static_cast<std::byte*>(::operator new (size, std::align_val_t{64}))) {
    for (std::size_t i = 0; i < size; ++i)
      bytes_.get()[i] = static_cast<std::byte>((i * 2654435761u >> 13) & 0x37);
  }
  std::byte* data() { return bytes_.get(); }
  const std::byte* data() const { return bytes_.get(); }
  float* floats() { return reinterpret_cast<float*>(bytes_.get()); }
  std::size_t size() const { return size_; }

 private:
  struct release {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, release> bytes_;
};

std::shared_ptr<buffer> random_floats(std::size_t n) {
  auto memory = std::make_shared<buffer>(n * sizeof(float));
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    memory->floats()[i] = static_cast<float>(state >> 8) * 0x1p-23f - 1.0f;
  }
  return memory;
}

volatile std::uint64_t sink;  // keeps results that nobody else reads

// What is measured: a name, and a function that takes one sample.

struct measurement {
  claim result;
  std::function<double()> sample;
  enum class limit { none, bandwidth, bytes } against = limit::none;
};

/// A matrix and rows to multiply it with.
struct product {
  product(const table& kernels, weight_type type, std::uint32_t n_out, std::uint32_t n_in, std::size_t n_rows)
      : packed(kernels.packed_bytes(type, n_out, n_in)),
        activations(n_rows * kernels.activation_bytes(kernels.activation_format_for(type), n_in)),
        y(n_rows * n_out * sizeof(float)),
        matrix{type, n_out, n_in, packed.data()},
        rows(n_rows) {
    const auto x = random_floats(n_rows * n_in);
    kernels.prepare_activations(kernels.activation_format_for(type), x->floats(), n_in, n_rows, n_in,
                                activations.data());
  }
  void run(const table& kernels) {
    kernels.linear(matrix, activations.data(), rows, 0, matrix.n_out, y.floats(), matrix.n_out);
  }

  buffer packed;
  buffer activations;
  buffer y;
  packed_linear matrix;
  std::size_t rows;
};

measurement decode_shaped(const table& kernels, weight_type type, std::uint32_t n_in, bool quick) {
  const std::size_t bytes = quick ? 48u << 20 : 96u << 20;  // more than the last-level cache holds
  const std::size_t row = kernels.packed_bytes(type, kernels.output_tile, n_in) / kernels.output_tile;
  const auto n_out = static_cast<std::uint32_t>(bytes / row / 64 * 64);
  auto work = std::make_shared<product>(kernels, type, n_out, n_in, 1);
  return {{"linear " + std::string(to_string(type)) + ", 1 row, n_in " + std::to_string(n_in), "GB/s", {}, {}},
          [=, &kernels] {
            return static_cast<double>(work->packed.size()) / seconds_each(0.0, [&] { work->run(kernels); }) / 1e9;
          },
          measurement::limit::bandwidth};
}

measurement prefill_shaped(const table& kernels, weight_type type, std::uint32_t n_out, std::uint32_t n_in,
                           std::size_t rows) {
  auto work = std::make_shared<product>(kernels, type, n_out, n_in, rows);
  const double operations = 2.0 * static_cast<double>(rows) * n_out * n_in;
  std::optional<double> target;
  if (rows == 512 && kernels.activation_format_for(type) == activation_format::q8) target = 100.0;
  return {{"linear " + std::string(to_string(type)) + ", " + std::to_string(rows) + " rows, " + std::to_string(n_in) +
               " -> " + std::to_string(n_out),
           "Gop/s",
           {},
           target},
          [=, &kernels] { return operations / seconds_each(0.02, [&] { work->run(kernels); }) / 1e9; },
          kernels.activation_format_for(type) == activation_format::q8 ? measurement::limit::bytes
                                                                       : measurement::limit::none};
}

/// All heads of one layer of SmolLM2-135M: 3 kv heads of 64, 3 query heads each.
measurement attention_at(const table& kernels, kv_type type, std::uint32_t n_context, std::uint32_t n_queries) {
  struct state {
    std::shared_ptr<buffer> kv, q, out;
    std::vector<const std::byte*> k_blocks, v_blocks;
    attention_args args;
  };
  auto s = std::make_shared<state>();
  const kv_layout layout = {type, 3, 64};
  const std::size_t n_blocks = (n_context + kv_block_tokens - 1) / kv_block_tokens;
  s->kv = std::make_shared<buffer>(2 * n_blocks * layout.block_bytes());
  const auto values = random_floats(192 + n_context);
  for (std::size_t b = 0; b < n_blocks; ++b) {
    std::byte* k = s->kv->data() + 2 * b * layout.block_bytes();
    for (std::uint32_t slot = 0; slot < kv_block_tokens; ++slot)
      kernels.store_kv(layout, values->floats() + slot, values->floats() + slot, slot, k, k + layout.block_bytes());
    s->k_blocks.push_back(k);
    s->v_blocks.push_back(k + layout.block_bytes());
  }
  s->q = random_floats(n_queries * 576);
  s->out = random_floats(n_queries * 576);
  s->args = {.layout = layout,
             .n_query_heads = 3,
             .q = s->q->floats(),
             .q_stride = 576,
             .out = s->out->floats(),
             .out_stride = 576,
             .n_queries = n_queries,
             .first_position = n_context - n_queries,
             .scale = 0.125f,
             .k_blocks = s->k_blocks.data(),
             .v_blocks = s->v_blocks.data()};
  const auto run = [s, &kernels] {
    for (s->args.kv_head = 0; s->args.kv_head < 3; ++s->args.kv_head)
      kernels.attention(s->args);
  };
  const std::string what = "attention " + std::string(to_string(type)) + ", " + std::to_string(n_queries);
  if (n_queries == 1)
    return {{what + " query at " + std::to_string(n_context), "us", {}, {}, goal::at_most},
            [=] { return seconds_each(0.01, run) * 1e6; }};
  const double visible = n_context - n_queries + (n_queries + 1) / 2.0;  // the mean over the queries
  return {{what + " queries up to " + std::to_string(n_context), "Gop/s", {}, {}},
          [=] { return 4.0 * 576 * n_queries * visible / seconds_each(0.02, run) / 1e9; }};
}

std::vector<measurement> small_operations(const table& kernels) {
  const auto x = random_floats(49152);
  const auto y = random_floats(49152);
  const auto activations =
      std::make_shared<buffer>(kernels.activation_bytes(kernels.activation_format_for(weight_type::q4_1), 1536));
  const auto timed = [](std::string name, std::function<void()> work) {
    return measurement{{std::move(name), "us", {}, {}, goal::at_most},
                       [work] { return seconds_each(0.002, work) * 1e6; }};
  };
  return {timed("rms_norm of 576",
                [=, &kernels] { kernels.rms_norm(x->floats(), y->floats(), 576, 1e-5f, y->floats() + 576); }),
          timed("silu_mul of 1536",
                [=, &kernels] { kernels.silu_mul(x->floats(), x->floats() + 1536, 1536, y->floats()); }),
          timed("prepare_activations of 1536",
                [=, &kernels] {
                  kernels.prepare_activations(kernels.activation_format_for(weight_type::q4_1), x->floats(), 1536, 1,
                                              1536, activations->data());
                }),
          timed("argmax of 49152", [=, &kernels] { sink = sink ^ kernels.argmax(x->floats(), 49152); }),
          timed("log_sum_exp of 49152",
                [=, &kernels] { sink = sink ^ static_cast<std::uint64_t>(kernels.log_sum_exp(x->floats(), 49152)); })};
}

std::vector<measurement> all_measurements(const table& kernels, bool quick) {
  std::vector<measurement> all;
  for (const weight_type type : {weight_type::q4_1, weight_type::q4_0, weight_type::q8_0, weight_type::f16})
    all.push_back(decode_shaped(kernels, type, 576, quick));
  all.push_back(decode_shaped(kernels, weight_type::q4_1, 1536, quick));
  for (const std::size_t rows : {std::size_t{4}, std::size_t{512}})
    for (const weight_type type : {weight_type::q4_1, weight_type::q8_0, weight_type::f16})
      all.push_back(prefill_shaped(kernels, type, 1536, 576, rows));
  all.push_back(prefill_shaped(kernels, weight_type::q4_1, 576, 1536, 512));
  for (const std::uint32_t n_context : {128u, 2048u})
    for (const kv_type type : {kv_type::f16, kv_type::q8_0})
      all.push_back(attention_at(kernels, type, n_context, 1));
  for (const std::uint32_t n_context : {512u, 2048u})
    all.push_back(attention_at(kernels, kv_type::f16, n_context, 512));
  for (measurement& one : small_operations(kernels))
    all.push_back(std::move(one));
  return all;
}

}  // namespace

result<report> kernel_tables(const options& wanted) {
  const auto chosen = choose(wanted.isa);
  if (!chosen) return chosen.error();
  std::vector<measurement> all = all_measurements(**chosen, wanted.quick);
  claim bandwidth{"limit: reading memory", "GB/s", {}, {}};
  claim bytes{"limit: 8-bit products", "Gop/s", {}, {}};
  const limit_memory memory(wanted.quick ? 48u << 20 : 96u << 20);
  const int rounds = wanted.quick ? 3 : 9;
  for (int round = 0; round < rounds; ++round) {
    bandwidth.samples.push_back(read_bandwidth(memory, 1));
    bytes.samples.push_back(byte_product_peak(1, (*chosen)->isa));
    for (measurement& one : all)
      one.result.samples.push_back(one.sample());
  }

  report made("kernels");
  made.add(bandwidth);
  made.add(bytes);
  for (measurement& one : all) {
    const claim* limit = one.against == measurement::limit::bandwidth ? &bandwidth
                         : one.against == measurement::limit::bytes   ? &bytes
                                                                      : nullptr;
    if (limit != nullptr && median(limit->samples) > 0) one.result.bound = median(limit->samples);
    if (limit == &bandwidth && one.result.bound) one.result.target = 0.6 * *one.result.bound;
    made.add(one.result);
  }
  return made;
}

}  // namespace troupe::bench
