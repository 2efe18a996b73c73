# cmake -DOUTPUT=FILE -DFOLDER=DIR -DFILES="a.html;b.css" -P embed.cmake
# Writes a C++ file with the bytes of each file, its length and a hash of it for the ETag.
set(arrays "")
set(rows "")
foreach(file IN LISTS FILES)
  file(READ "${FOLDER}/${file}" bytes HEX)
  file(SHA256 "${FOLDER}/${file}" hash)
  string(SUBSTRING "${hash}" 0 16 hash)
  string(REGEX REPLACE "[^a-z]" "_" name "${file}")
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char ${name}[] = {\n${bytes}};\n")
  string(APPEND rows "    {\"${file}\", ${name}, sizeof ${name}, \"\\\"${hash}\\\"\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "// Made by runtime/page/embed.cmake.\n#include \"runtime/page/embedded_files.hpp\"\n
namespace troupe {\nnamespace {\n${arrays}
constexpr embedded_file files[] = {\n${rows}};\n}  // namespace\n
std::span<const embedded_file> embedded_files() { return files; }\n}  // namespace troupe\n")
