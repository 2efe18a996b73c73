#include "runtime/openai/output_format.hpp"

#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

namespace troupe::openai {
namespace {

constexpr std::size_t any_length = std::numeric_limits<std::size_t>::max();

/// Takes the grammar of one field after another and refuses the second.
class format_reader {
 public:
  format_reader(field_reader& reader, output_format& format) : reader_(reader), format_(format) {}

  void take(std::string field, output_grammar grammar) {
    if (!format_.field.empty())
      return reader_.refuse(field,
                            field + " and " + format_.field + " both say what the answer must look like; give one.");
    format_ = {std::move(grammar), std::move(field)};
  }

  void read_response_format() {
    const json* format = reader_.read_object("response_format");
    if (format == nullptr) return;
    field_reader outer(*format, "response_format");
    const json* wrapper = outer.read_object("json_schema");
    const json* schema = wrapper == nullptr ? nullptr : read_wrapper(outer, *wrapper);
    const json* type = outer.find("type");
    if (type == nullptr || !type->is_string())
      outer.refuse("type", "response_format must have a type, such as \"text\".");
    else if (*type == "json_schema" && schema == nullptr)
      outer.refuse("json_schema.schema", "response_format json_schema needs a schema.");
    else if (*type != "text" && *type != "json_object" && *type != "json_schema")
      outer.refuse("type", "response_format.type must be text, json_object or json_schema.");
    if (!outer.ok()) return reader_.adopt(outer.outcome().error());
    if (*type == "json_object") take("response_format", {grammar_kind::json_object, ""});
    if (*type == "json_schema") take_schema("response_format", *schema);
  }

  /// Of the object that `inner` reads, which lies at `prefix` of the body.
  void read_schema(field_reader& inner, std::string_view name, const std::string& prefix = {}) {
    if (const json* schema = inner.find(name)) take_schema(prefix + std::string(name), *schema);
  }

  void read_gbnf(field_reader& inner, std::string_view name, const std::string& prefix = {}) {
    const json* value = inner.find(name);
    if (value == nullptr || *value == "") return;
    const std::string field = prefix + std::string(name);
    if (!value->is_string()) return reader_.refuse(field, field + " must be a string in GBNF.");
    take(field, {grammar_kind::gbnf, value->get<std::string>()});
  }

  void read_choice(field_reader& inner, std::string_view name, const std::string& prefix = {}) {
    const json* value = inner.find(name);
    if (value == nullptr) return;
    const std::string field = prefix + std::string(name);
    if (!value->is_array() || value->empty()) return reader_.refuse(field, field + " must be an array of strings.");
    std::string source = "root ::= ";
    for (const json& choice : *value) {
      if (!choice.is_string() || choice.get_ref<const std::string&>().empty())
        return reader_.refuse(field, field + " must be an array of strings that are not empty.");
      if (&choice != &value->front()) source += " | ";
      append_gbnf_literal(source, choice.get_ref<const std::string&>());
    }
    take(field, {grammar_kind::gbnf, std::move(source)});
  }

 private:
  /// OpenAI's object around a schema; null when it has none.
  const json* read_wrapper(field_reader& outer, const json& wrapper) {
    field_reader inner(wrapper, outer.path_of("json_schema"));
    std::string text;
    bool strict = false;
    inner.read("name", text, any_length);
    inner.read("description", text, any_length);
    inner.read("strict", strict);
    const json* schema = inner.find("schema");
    if (schema != nullptr && !is_schema(*schema)) inner.refuse("schema", "schema must be a JSON schema.");
    if (!inner.ok()) outer.adopt(inner.outcome().error());
    return schema;
  }

  static bool is_schema(const json& value) { return value.is_object() || value.is_boolean() || value.is_string(); }

  void take_schema(const std::string& field, const json& schema) {
    if (!is_schema(schema)) return reader_.refuse(field, field + " must be a JSON schema.");
    // Clients also send it as a text.
    take(field, {grammar_kind::json_schema, schema.is_string() ? schema.get<std::string>() : schema.dump()});
  }

  static void append_gbnf_literal(std::string& out, std::string_view text) {
    out += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      if (c == '\n')
        out += "\\n";
      else if (c == '\r')
        out += "\\r";
      else
        out += c;
    }
    out += '"';
  }

  field_reader& reader_;
  output_format& format_;
};

}  // namespace

void read_output_format(field_reader& reader, output_format& format) {
  format_reader fields(reader, format);
  fields.read_response_format();
  fields.read_gbnf(reader, "grammar");
  fields.read_schema(reader, "json_schema");
  fields.read_schema(reader, "guided_json");
  fields.read_gbnf(reader, "guided_grammar");
  fields.read_choice(reader, "guided_choice");
  if (const json* outputs = reader.read_object("structured_outputs")) {
    const std::string prefix = "structured_outputs.";
    field_reader inner(*outputs, "structured_outputs");
    fields.read_schema(inner, "json", prefix);
    fields.read_gbnf(inner, "grammar", prefix);
    fields.read_choice(inner, "choice", prefix);
    bool any_object = false;
    inner.read("json_object", any_object);
    if (any_object) fields.take(prefix + "json_object", {grammar_kind::json_object, ""});
    for (const std::string_view name : {"regex", "structural_tag"})
      if (inner.find(name) != nullptr)
        inner.refuse(name, prefix + std::string(name) + " is not supported by this version.", errc::unsupported);
    if (!inner.ok()) reader.adopt(inner.outcome().error());
  }
}

}  // namespace troupe::openai
