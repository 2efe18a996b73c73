// Whether a JSON value satisfies a schema, by another library: valijson, where it is installed.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace troupe::test {

/// False: valijson was not there when the tests were built, and is_valid says yes to everything.
bool has_json_validator();

/// Drafts 7 and 2020-12, as far as valijson reads them: it knows no format but those of dates and times.
bool is_valid(const nlohmann::json& schema, const nlohmann::json& value);

}  // namespace troupe::test
