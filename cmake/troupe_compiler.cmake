# Language level, warnings, hardening, sanitizers and ccache: everything that holds for every target.
include(GNUInstallDirs)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()
# Debug information for stack traces, not for stepping: it halves the size of the objects and the time of the link.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Precompiled headers are only cacheable when ccache may ignore their time stamps.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
    "${CCACHE_PROGRAM}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
  endif()
endif()

# Not for GCC: it leaves empty ".cold" functions behind, whose unwind entries (of no length) hide that of the function at the same
# address from lld 14's table, so that an exception passing through that function aborts the process.
find_program(LLD_PROGRAM ld.lld)
if(LLD_PROGRAM AND CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  add_link_options(-fuse-ld=lld)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow)
if(TROUPE_WARNINGS_AS_ERRORS)
  add_compile_options(-Werror)
endif()
# GCC's warnings that follow values through inlined code see ghosts, others in each version; sanitizers see what is there.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  foreach(ghost maybe-uninitialized array-bounds stringop-overflow stringop-overread restrict)
    add_compile_options(-Wno-${ghost})
  endforeach()
endif()

# A compiler free to fuse a*b+c where it likes would give an instruction set, an inlining or a batch size its own last bit.
# Kernels that want a fused multiply-add say so.
add_compile_options(-ffp-contract=off)

# One setting for libraries and programs, so that they can share precompiled headers.
add_compile_options(-fPIC)
string(APPEND CMAKE_EXE_LINKER_FLAGS " -pie")
add_compile_options(-fstack-protector-strong)
add_link_options(-Wl,-z,relro -Wl,-z,now)
if(TROUPE_SANITIZE)
  add_compile_options(-fsanitize=${TROUPE_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TROUPE_SANITIZE})
  if(TROUPE_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)  # Asio's fences, which ThreadSanitizer cannot see; its queues lock a mutex as well
  endif()
  string(APPEND CMAKE_CXX_FLAGS_RELWITHDEBINFO " -O1")  # half the time of a build with -O2
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
