# Every library that Troupe takes from the system. scripts/install_packages names the Debian packages.
find_package(Threads REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Boost 1.74 REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED COMPONENTS core)
find_package(PkgConfig REQUIRED)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
find_package(ucx CONFIG REQUIRED)

# toml++ and CAF 0.17 come without a CMake configuration, msgpack-c with one that has another name in each version.
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
add_library(troupe_tomlplusplus INTERFACE)
target_include_directories(troupe_tomlplusplus SYSTEM INTERFACE "${TOMLPLUSPLUS_INCLUDE_DIR}")

find_path(CAF_INCLUDE_DIR caf/all.hpp REQUIRED)
find_library(CAF_CORE_LIBRARY caf_core REQUIRED)
add_library(troupe_caf INTERFACE)
target_include_directories(troupe_caf SYSTEM INTERFACE "${CAF_INCLUDE_DIR}")
target_link_libraries(troupe_caf INTERFACE "${CAF_CORE_LIBRARY}" Threads::Threads)
# CAF's own network, for the benchmark that compares with it and nothing else.
find_library(CAF_IO_LIBRARY caf_io REQUIRED)
add_library(troupe_caf_io INTERFACE)
target_link_libraries(troupe_caf_io INTERFACE troupe_caf "${CAF_IO_LIBRARY}")

find_path(MSGPACK_INCLUDE_DIR msgpack/pack.hpp REQUIRED)
add_library(troupe_msgpack INTERFACE)
target_include_directories(troupe_msgpack SYSTEM INTERFACE "${MSGPACK_INCLUDE_DIR}")
target_compile_definitions(troupe_msgpack INTERFACE MSGPACK_NO_BOOST)
