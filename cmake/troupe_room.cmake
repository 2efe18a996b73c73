# troupe_room(PATH [SOURCES ...] [LINKS ...] [PRIVATE_LINKS ...])
#
# A room is a folder, a static library named after it (runtime/gguf -> troupe_runtime_gguf) and an include root that holds
# nothing but this folder: "runtime/gguf/gguf_file.hpp" is found by those targets that link the room and by no other.
# A room without sources is an INTERFACE library.
function(troupe_room path)
  cmake_parse_arguments(room "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  string(REPLACE "/" "_" name "troupe_${path}")
  set(root "${PROJECT_BINARY_DIR}/roots/${name}")
  get_filename_component(parent "${root}/${path}" DIRECTORY)
  file(MAKE_DIRECTORY "${parent}")
  file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${path}" "${root}/${path}" SYMBOLIC)
  if(room_SOURCES)
    add_library(${name} STATIC ${room_SOURCES})
    target_include_directories(${name} PUBLIC "${root}")
    target_link_libraries(${name} PUBLIC ${room_LINKS} PRIVATE ${room_PRIVATE_LINKS})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE "${root}")
    target_link_libraries(${name} INTERFACE ${room_LINKS})
  endif()
endfunction()
