// The strings of an array, where the file has them: one after the other, each behind its length. Nothing is copied or
// indexed, so an array of any size costs no memory; the way to the last string leads past all others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string_view>

namespace troupe {

class gguf_strings {
 public:
  gguf_strings() = default;
  /// `first`: the length of the first of `count` strings, all of them checked to lie inside the file.
  gguf_strings(const std::byte* first, std::uint64_t count) : first_(first), count_(count) {}

  class iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;

    iterator() = default;
    iterator(const std::byte* next, std::uint64_t left) : next_(next), left_(left) {}

    std::string_view operator*() const {
      std::uint64_t length = 0;
      std::memcpy(&length, next_, sizeof(length));
      return {reinterpret_cast<const char*>(next_ + sizeof(length)), length};
    }
    iterator& operator++() {
      next_ += sizeof(std::uint64_t) + (**this).size();
      --left_;
      return *this;
    }
    iterator operator++(int) {
      const iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const iterator& a, const iterator& b) { return a.left_ == b.left_; }
    friend bool operator==(const iterator& a, std::default_sentinel_t) { return a.left_ == 0; }

   private:
    const std::byte* next_ = nullptr;
    std::uint64_t left_ = 0;
  };

  iterator begin() const { return {first_, count_}; }
  std::default_sentinel_t end() const { return {}; }
  std::uint64_t size() const { return count_; }
  bool empty() const { return count_ == 0; }

 private:
  const std::byte* first_ = nullptr;
  std::uint64_t count_ = 0;
};

static_assert(std::forward_iterator<gguf_strings::iterator>);

}  // namespace troupe
