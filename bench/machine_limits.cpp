#include "bench/machine_limits.hpp"

#include "bench/clock.hpp"

#include <barrier>
#include <chrono>
#include <new>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace troupe::bench {
namespace {

volatile std::uint64_t sink;  // keeps results that nobody else reads

/// Seconds in which all threads have done their part, from when all of them are ready.
template <class Part>
double seconds_together(std::uint32_t threads, const Part& part) {
  std::barrier ready(static_cast<std::ptrdiff_t>(threads));
  std::vector<std::thread> others;
  for (std::uint32_t i = 1; i < threads; ++i)
    others.emplace_back([&, i] {
      ready.arrive_and_wait();
      part(i);
    });
  ready.arrive_and_wait();
  const auto start = clock::now();
  part(0u);
  for (std::thread& other : others)
    other.join();
  return seconds_since(start);
}

#if defined(__x86_64__)
/// Reads n bytes at each of four places, `apart` bytes from each other: prefetchers follow each stream only so far
/// ahead.
__attribute__((target("avx2"))) void read_streams(const std::byte* memory, std::size_t apart, std::size_t n) {
  __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  for (std::size_t i = 0; i < n; i += 64) {
    for (std::size_t stream = 0; stream < 4; ++stream) {
      const auto* at = reinterpret_cast<const __m256i*>(memory + stream * apart + i);
      sums[0] = _mm256_xor_si256(sums[0], _mm256_load_si256(at));
      sums[1] = _mm256_xor_si256(sums[1], _mm256_load_si256(at + 1));
    }
  }
  sink = sink ^ static_cast<std::uint64_t>(_mm256_extract_epi64(_mm256_xor_si256(sums[0], sums[1]), 0));
}

/// 64 operations each of the eight times that a round multiplies.
__attribute__((target("avx2"))) void multiply_256(std::size_t rounds) {
  __m256i sums[8];
  for (__m256i& sum : sums)
    sum = _mm256_setzero_si256();
  __m256i w = _mm256_set1_epi8(3);
  const __m256i x = _mm256_set1_epi8(-5);
  for (std::size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 8
    for (std::size_t s = 0; s < 8; ++s) {
      asm volatile("" : "+x"(w));  // may have changed: no product is used twice
      sums[s] = _mm256_add_epi16(sums[s], _mm256_maddubs_epi16(w, x));
    }
  }
  for (std::size_t s = 1; s < 8; ++s)
    sums[0] = _mm256_xor_si256(sums[0], sums[s]);
  sink = sink ^ static_cast<std::uint64_t>(_mm256_extract_epi64(sums[0], 0));
}

/// The same with vpdpbusd: 128 operations, twelve times.
__attribute__((target("avx512f,avx512vnni"))) void multiply_512(std::size_t rounds) {
  __m512i sums[12];
  for (__m512i& sum : sums)
    sum = _mm512_setzero_si512();
  __m512i w = _mm512_set1_epi32(0x03030303);
  const __m512i x = _mm512_set1_epi32(0x05050505);
  for (std::size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (std::size_t s = 0; s < 12; ++s) {
      asm volatile("" : "+v"(w));
      sums[s] = _mm512_dpbusd_epi32(sums[s], w, x);
    }
  }
  for (std::size_t s = 1; s < 12; ++s)
    sums[0] = _mm512_xor_si512(sums[0], sums[s]);
  alignas(64) std::uint64_t lanes[8];
  _mm512_store_si512(lanes, sums[0]);
  sink = sink ^ lanes[0];
}
#endif

}  // namespace

limit_memory::limit_memory(std::size_t bytes)
    : size_(bytes), bytes_(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64}))) {
  for (std::size_t i = 0; i < bytes; ++i)
    bytes_.get()[i] = static_cast<std::byte>(i * 2654435761u >> 13);
}

void limit_memory::release::operator()(std::byte* p) const {
  ::operator delete (p, std::align_val_t{64});
}

double read_bandwidth(const limit_memory& memory, std::uint32_t threads) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) return 0;
  const std::size_t part = memory.size() / threads / 4 / 64 * 64;
  const double seconds = seconds_together(
      threads, [&](std::uint32_t i) { read_streams(memory.data() + std::size_t{i} * 4 * part, part, part); });
  return static_cast<double>(4 * part * threads) / seconds / 1e9;
#else
  return memory.size() == 0 ? 0 : 0.0 * threads;
#endif
}

double byte_product_peak(std::uint32_t threads, std::string_view isa) {
#if defined(__x86_64__)
  constexpr std::size_t rounds = 200'000;
  const auto peak_of = [&](void (*multiply)(std::size_t), double operations) {
    const double seconds = seconds_together(threads, [&](std::uint32_t) { multiply(rounds); });
    return rounds * operations * threads / seconds / 1e9;
  };
  if (isa == "avx512") return peak_of(multiply_512, 12 * 128);
  if (__builtin_cpu_supports("avx2")) return peak_of(multiply_256, 8 * 64);
#endif
  return isa.empty() ? 0 : 0.0 * threads;
}

}  // namespace troupe::bench
