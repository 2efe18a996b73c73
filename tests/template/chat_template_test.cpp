// Whole chat templates against text worked out by hand, the errors that people read, and templates that came out wrong
// once.
#include "catch.hpp"
#include "render.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

using nlohmann::ordered_json;
using troupe::chat_template;
using troupe::errc;
using troupe::render;
using troupe::try_render;

namespace {

std::string template_file(const std::string& name) {
  std::ifstream file(std::string(std::getenv("TROUPE_TEST_DATA")) + "/templates/" + name);
  REQUIRE(file.good());
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const ordered_json greeting = {{"messages", {{{"role", "user"}, {"content", "Hello"}}}},
                               {"add_generation_prompt", true},
                               {"bos_token", "<s>"},
                               {"eos_token", "</s>"},
                               {"strftime_now", 1718454896}};

}  // namespace

TEST_CASE("a ChatML template puts a system message first when there is none") {
  CHECK(render(template_file("chatml.jinja"), greeting) ==
        "<|im_start|>system\nYou are a helpful "
        "assistant.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
}

TEST_CASE("templates in the styles of the usual families give their prompts") {
  CHECK(render(template_file("llama3_style.jinja"), greeting) ==
        "<s><|start|>system<|end|>\n\nToday: 15 Jun "
        "2024\n\n<|eot|><|start|>user<|end|>\n\nHello<|eot|><|start|>assistant<|end|>\n\n");
  CHECK(render(template_file("qwen_style.jinja"), greeting) ==
        "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n");
  CHECK(render(template_file("mistral_style.jinja"), greeting) == "<s>[INST] Hello[/INST]");
  CHECK(render(template_file("gemma_style.jinja"), greeting) ==
        "<s><start_of_turn>user\nHello<end_of_turn>\n<start_of_turn>model\n");
  CHECK(render(template_file("phi_style.jinja"), greeting) == "<|user|>\nHello<|end|>\n<|assistant|>\n");
}

TEST_CASE("what a message says is never read as a template") {
  ordered_json context = greeting;
  context["messages"][0]["content"] = "{{ 1 + 1 }} {% raw %} {# #} }}";
  CHECK(render("{% for m in messages %}{{ m.content }}{% endfor %}", context) == "{{ 1 + 1 }} {% raw %} {# #} }}");
}

TEST_CASE("raise_exception gives the template's own words to the caller") {
  const auto refused = try_render("{{ raise_exception('Roles must alternate, not ' ~ messages[0].role) }}", greeting);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::invalid_argument);
  CHECK(refused.error().message == "Roles must alternate, not user");
}

TEST_CASE("errors name the line and what is wrong") {
  const auto message = [](std::string_view source) {
    const auto failed = try_render(source, greeting);
    REQUIRE_FALSE(failed);
    return failed.error().message;
  };
  CHECK(message("a\nb {{ nothing.more }}") == "Chat template, line 2: 'nothing' is undefined.");
  CHECK(message("a\n\n{{ messages[0].x.y }}") == "Chat template, line 3: a dict has no attribute 'x'.");
  CHECK(message("{% if x %}\n\nx") == "Chat template, line 3: the template ends before {% endif %}.");
  CHECK(message("\n{{ 1 | shout }}") == "Chat template, line 2: there is no filter 'shout'.");
  CHECK(message("{% include 'x' %}") == "Chat template, line 1: the tag {% include %} is not supported.");
  CHECK(message("\n{{ 'a' + 1 }}") == "Chat template, line 2: cannot add a str and an int.");
  CHECK(message("{{ 9223372036854775807 + 1 }}") ==
        "Chat template, line 1: the result of an integer operation does not fit 64 bits.");
  CHECK(message("{{ [1, 'a'] | sort }}") == "Chat template, line 1: there is no order between a str and an int.");
  CHECK(message("{{ 1 in 's' }}") == "Chat template, line 1: only a str can be in a str, not an int.");
  CHECK(message("{{ (1 }}") == "Chat template, line 1: unexpected '}'.");
}

TEST_CASE("what is not supported says so with its own code") {
  for (const char* source : {"{{ x | shout }}", "{{ x is loud }}", "{% include 'x' %}", "{{ f(*args) }}",
                             "{% for x in y recursive %}{% endfor %}"}) {
    INFO(source);
    const auto parsed = chat_template::parse(source);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().code == errc::unsupported);
  }
  const auto method = try_render("{{ 'x'.zfill(3) }}");
  REQUIRE_FALSE(method);
  CHECK(method.error().code == errc::unsupported);
}

TEST_CASE("the context must be an object and may hold any bytes") {
  const auto list = try_render("x", ordered_json::array());
  REQUIRE_FALSE(list);
  CHECK(list.error().code == errc::invalid_argument);
  CHECK(render("{{ s }}", {{"s",
                            "a\xff"
                            "b"}}) ==
        "a\xEF\xBF\xBD"
        "b");
}

TEST_CASE("a parsed template renders the same again, and is not changed by rendering") {
  const auto parsed = chat_template::parse(
      "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}");
  REQUIRE(parsed);
  CHECK((*parsed)->render(greeting).value() == "1");
  CHECK((*parsed)->render(greeting).value() == "1");
}

TEST_CASE("a macro that outlives the block it was defined in still sees that block's names") {
  CHECK(render("{% set ns = namespace() %}{% for x in [1, 2] %}{% macro m() %}{{ x }}{% endmacro %}{% set ns.m = m "
               "%}{% endfor %}"
               "{{ ns.m() }}") == "2");
}
