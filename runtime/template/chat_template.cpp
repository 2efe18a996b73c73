#include "runtime/template/chat_template.hpp"

#include "base/utf8.hpp"
#include "runtime/template/parser.hpp"
#include "runtime/template/renderer.hpp"

#include <ctime>

#include <nlohmann/json.hpp>

namespace troupe {

namespace {

class parsed_template final : public chat_template {
 public:
  explicit parsed_template(jinja::body content) : content_(std::move(content)) {}

  result<std::string> render(const nlohmann::ordered_json& context, std::size_t max_bytes) const override {
    if (!context.is_object()) {
      return make_error(errc::invalid_argument, "The context of a chat template must be a JSON object.");
    }
    // Room for the context, for what the template builds on the way, and for text that is built up piece by piece.
    jinja::budget limits((64u << 20) + 8 * std::min<std::size_t>(max_bytes, 64u << 20));
    int line = 0;
    try {
      const jinja::value variables = jinja::from_json(context, limits);
      jinja::renderer renderer(variables, clock_of(context), limits, max_bytes);
      try {
        return renderer.render(content_);
      } catch (const jinja::failure&) {
        line = renderer.line();
        throw;
      }
    } catch (const jinja::failure& f) {
      if (f.raised_by_template) return make_error(f.code, f.message);
      const std::string where = line > 0 ? ", line " + std::to_string(line) : " context";
      return make_error(f.code, "Chat template" + where + ": " + f.message + ".");
    }
  }

 private:
  static std::int64_t clock_of(const nlohmann::ordered_json& context) {
    const auto given = context.find("strftime_now");
    if (given != context.end() && given->is_number_integer()) return given->get<std::int64_t>();
    return static_cast<std::int64_t>(std::time(nullptr));
  }

  jinja::body content_;
};

}  // namespace

result<std::shared_ptr<const chat_template>> chat_template::parse(std::string_view source) {
  if (source.size() > jinja::max_source_bytes) {
    return make_error(errc::too_large, "A chat template has at most " + std::to_string(jinja::max_source_bytes) +
                                           " bytes; this one has " + std::to_string(source.size()) + ".");
  }
  if (const std::size_t bad = find_invalid_utf8(source); bad != std::string_view::npos) {
    return make_error(errc::invalid_argument,
                      "A chat template must be UTF-8; byte " + std::to_string(bad) + " breaks it.");
  }
  try {
    std::shared_ptr<const chat_template> parsed =
        std::make_shared<const parsed_template>(jinja::parse_template(source));
    return parsed;
  } catch (const jinja::failure& f) {
    return make_error(f.code, "Chat template, " + f.message + ".");
  }
}

}  // namespace troupe
