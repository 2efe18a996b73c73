// Writes safetensors files for tests, right ones and wrong ones.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <unistd.h>

namespace troupe::test {

/// A folder of its own that goes when this does.
class temporary_folder {
 public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "troupe_test_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
  }
  ~temporary_folder() { std::filesystem::remove_all(path_); }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// The header as it is given, with its length before it and the data behind.
inline std::string raw_safetensors(const std::string& header, const std::string& data) {
  const std::uint64_t n = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &n, sizeof n);
  return file + header + data;
}

/// Tensors of F32, one after another.
class safetensors_writer {
 public:
  void add(const std::string& name, const std::vector<std::uint64_t>& shape, const std::vector<float>& values) {
    std::string dims;
    for (const std::uint64_t n : shape)
      dims += (dims.empty() ? "" : ",") + std::to_string(n);
    const std::size_t begin = data_.size();
    data_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
    header_ += (header_.empty() ? "\"" : ",\"") + name + "\":{\"dtype\":\"F32\",\"shape\":[" + dims +
               "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(data_.size()) + "]}";
  }
  std::string file() const { return raw_safetensors("{" + header_ + "}", data_); }

 private:
  std::string header_;
  std::string data_;
};

}  // namespace troupe::test
