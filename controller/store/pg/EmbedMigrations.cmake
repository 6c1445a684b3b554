# Run as a script: writes OUTPUT, a .cc file with every file of FILES (separated by "|") in order.
string(REPLACE "|" ";" files "${FILES}")
set(version 0)
set(entries "")
foreach(path IN LISTS files)
  math(EXPR version "${version} + 1")
  get_filename_component(file "${path}" NAME)
  if(NOT file MATCHES "^([0-9][0-9][0-9][0-9])_[a-z0-9_]+\\.sql$")
    message(FATAL_ERROR "${file}: a migration is called NNNN_name.sql")
  endif()
  string(REGEX REPLACE "^0+" "" number "${CMAKE_MATCH_1}")
  if(NOT number EQUAL version)
    message(FATAL_ERROR "${file}: migrations are numbered without gaps; expected number ${version}")
  endif()
  file(SHA256 "${path}" sha256)
  file(READ "${path}" sql)
  string(APPEND entries "    {${version}, \"${file}\", \"${sha256}\", R\"slipway_sql(${sql})slipway_sql\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include \"controller/store/pg/migrations.h\"

namespace slipway::store::pg {
namespace {

constexpr Migration kMigrations[] = {
${entries}};

}  // namespace

std::span<const Migration> BuiltInMigrations() { return kMigrations; }

}  // namespace slipway::store::pg
")
