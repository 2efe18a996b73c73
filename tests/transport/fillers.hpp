// Inspectors that fill a struct: with seeded random values, or with values that count up, the same in every build.
#pragma once

#include "base/fields.hpp"
#include "base/random.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe::test {

/// Source has number(), real(), size(), yes() and byte().
template <class Source>
class filler {
 public:
  using result_type = bool;

  explicit filler(Source source) : source_(std::move(source)) {}

  template <class... Fields>
  bool operator()(Fields&&... fields) {
    (fill_one(fields), ...);
    return true;
  }

  template <class T>
  void fill_one(field_ref<T>& x) {
    fill_one(x.value);
  }
  void fill_one(bool& x) { x = source_.yes(); }
  void fill_one(float& x) { x = static_cast<float>(source_.real()); }
  void fill_one(double& x) { x = source_.real(); }
  void fill_one(std::byte& x) { x = source_.byte(); }
  void fill_one(std::string& x) {
    x.resize(source_.size());
    for (auto& c : x)
      c = static_cast<char>(source_.byte());
  }
  template <class Rep, class Period>
  void fill_one(std::chrono::duration<Rep, Period>& x) {
    Rep count{};
    fill_one(count);
    x = std::chrono::duration<Rep, Period>(count);
  }
  template <class T>
  void fill_one(std::vector<T>& x) {
    x.resize(source_.size());
    for (auto& element : x)
      fill_one(element);
  }
  template <class A, class B>
  void fill_one(std::pair<A, B>& x) {
    fill_one(x.first);
    fill_one(x.second);
  }
  template <class T>
  void fill_one(T& x) {
    if constexpr (std::is_enum_v<T>) {
      const auto n = static_cast<std::uint64_t>(last_enumerator(T{})) + 1;
      x = static_cast<T>(source_.number(64) % n);
    } else if constexpr (std::is_integral_v<T>) {
      x = static_cast<T>(source_.number(std::numeric_limits<std::make_unsigned_t<T>>::digits));
    } else {
      inspect(*this, x);
    }
  }

 private:
  Source source_;
};

/// All sizes of numbers are as likely, so that every form of the wire's integers comes.
class random_source {
 public:
  explicit random_source(std::uint64_t seed) : random_(seed) {}
  std::uint64_t number(int n_bits) {
    const std::uint64_t bits = random_() >> random_.below(static_cast<std::uint64_t>(n_bits));
    return random_.below(2) == 0 ? bits : ~bits;
  }
  double real() { return (random_.unit() - 0.5) * static_cast<double>(random_.below(1u << 20)); }
  // Mostly short; now and then one that needs a longer head.
  std::size_t size() {
    const auto dice = random_.below(200);
    if (dice == 0 && n_long_ < 2) return ++n_long_, static_cast<std::size_t>(random_.below(1u << 17));
    return static_cast<std::size_t>(random_.below(dice < 10 && n_long_ < 2 ? 300 : 5));
  }
  bool yes() { return random_.below(2) == 1; }
  std::byte byte() { return static_cast<std::byte>(random_.below(256)); }

 private:
  random_stream random_;
  int n_long_ = 0;
};

class counting_source {
 public:
  std::uint64_t number(int) { return next_++; }
  double real() { return 0.5 + static_cast<double>(next_++); }
  std::size_t size() { return 2 + next_++ % 2; }
  bool yes() { return next_++ % 2 == 0; }
  std::byte byte() { return static_cast<std::byte>('a' + next_++ % 26); }

 private:
  std::uint64_t next_ = 1;
};

template <class T>
T random_value(std::uint64_t seed) {
  T made{};
  filler<random_source> fill{random_source(seed)};
  fill.fill_one(made);
  return made;
}
template <class T>
T counted_value() {
  T made{};
  filler<counting_source> fill{counting_source()};
  fill.fill_one(made);
  return made;
}

}  // namespace troupe::test
