// The language piece by piece: source on the left, the text that Python's jinja2 gives on the right.
#include "catch.hpp"
#include "render.hpp"

#include <array>
#include <utility>

using troupe::render;

namespace {

const nlohmann::ordered_json data = {
    {"a", 7}, {"xs", {3, 1, 2}}, {"s", "Hello"}, {"none", nullptr}, {"d", {{"k", 1}, {"j", "v"}}}, {"u", "Ünï 🎭"}};

using row = std::pair<const char*, const char*>;

template <std::size_t N>
void check(const std::array<row, N>& rows) {
  for (const auto& [source, wanted] : rows) {
    INFO(source);
    CHECK(render(source, data) == wanted);
  }
}

}  // namespace

TEST_CASE("white space around tags") {
  check<9>({{{"{% if a %}\nx\n{% endif %}\ny", "x\ny"},
             {"  {% if a %}\n  x\n  {% endif %}\n  y", "  x\n  y"},
             {"  {%+ if a %}x{% endif %}", "  x"},
             {"{% if a +%}\nx{% endif %}", "\nx"},
             {"a \n {%- if a %} b \n {%- endif %} c", "a b c"},
             {"{{ a }}\n", "7"},
             {"{{ a }}\n\n", "7\n"},
             {"x {{- a -}} y", "x7y"},
             {"  {# note #}\nx {#- note -#} y", "xy"}}});
}

TEST_CASE("arithmetic is Python's") {
  check<8>({{{"{{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }} {{ 6 / 2 }}", "-4 2 3.5 3.0"},
             {"{{ 2 ** 3 ** 2 }} {{ 2 ** -1 }}", "64 0.5"},
             {"{{ 1e16 }} {{ 1e15 }} {{ 0.0001 }} {{ 1e-5 }} {{ 0.1 + 0.2 }}",
              "1e+16 1000000000000000.0 0.0001 1e-05 0.30000000000000004"},
             {"{{ 1 ~ 2.0 ~ none ~ true }}", "12.0NoneTrue"},
             {"{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ '1' == 1 }}", "True True False"},
             {"{{ 0 or 'x' }} {{ 'y' and 0 }} {{ not 0 }}", "x 0 True"},
             {"{{ 1 if false }}|{{ 1 if a else 2 }}", "|1"},
             {"{{ 2.675|round(2) }} {{ 3.5|round }} {{ 42|round }}", "2.67 4.0 42"}}});
}

TEST_CASE("values print as in Python") {
  check<5>({{{"{{ [1, 'a', 2.0, none, true, {}, ()] }}", "[1, 'a', 2.0, None, True, {}, ()]"},
             {"{{ {'a': 1, 3: (1,)} }}", "{'a': 1, 3: (1,)}"},
             {"{{ ['it\\'s', '\"', '\\n'] }}", "[\"it's\", '\"', '\\n']"},
             {"{{ u }} {{ [u] }}", "Ünï 🎭 ['Ünï 🎭']"},
             {"{{ range(3) }} {{ range(3)|list }}", "range(0, 3) [0, 1, 2]"}}});
}

TEST_CASE("tojson writes what json.dumps writes") {
  check<4>({{{"{{ [1.0, none, 'é\"<&'] | tojson }}", "[1.0, null, \"é\\\"<&\"]"},
             {"{{ d | tojson }}", "{\"k\": 1, \"j\": \"v\"}"},
             {"{{ {'a': [1, {}]} | tojson(indent=2) }}", "{\n  \"a\": [\n    1,\n    {}\n  ]\n}"},
             {"{{ {'b': 1, 'a': 'é'} | tojson(ensure_ascii=true, sort_keys=true, separators=(',', ':')) }}",
              "{\"a\":\"\\u00e9\",\"b\":1}"}}});
}

TEST_CASE("strings count characters, not bytes") {
  check<5>({{{"{{ u|length }} {{ u[-1] }} {{ u[::-1] }} {{ u.find('🎭') }}", "5 🎭 🎭 ïnÜ 4"},
             {"{{ u.upper() }} {{ u.lower() }}", "ÜNÏ 🎭 ünï 🎭"},
             {"{{ ' a b '.split() }} {{ 'a,b,c'.split(',', 1) }}", "['a', 'b'] ['a', 'b,c']"},
             {"{{ 'xxaxx'.strip('x') }} {{ 'a\\n'|trim }}|{{ 'abc'.replace('', '-') }}", "a a|-a-b-c-"},
             {"{{ s.startswith(('x', 'H')) }} {{ 'ell' in s }} {{ s[1:3] }}", "True True el"}}});
}

TEST_CASE("loops") {
  check<8>({{{"{% for x in xs %}{{ loop.index }}{{ x }}{{ ',' if not loop.last }}{% endfor %}", "13,21,32"},
             {"{% for x in xs if x > 1 %}{{ x }}{% else %}none{% endfor %}", "32"},
             {"{% for x in [] %}x{% else %}none{% endfor %}", "none"},
             {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "k=1;j=v;"},
             {"{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "32"},
             {"{% for x in xs %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "3"},
             {"{% for x in xs %}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}", "1;32;1;"},
             {"{% for x in xs %}{% set last = x %}{% endfor %}[{{ last }}]", "[]"}}});
}

TEST_CASE("set, namespace and macro") {
  check<6>({{{"{% set n = namespace(t=0) %}{% for x in xs %}{% set n.t = n.t + x %}{% endfor %}{{ n.t }}", "6"},
             {"{% set a, b = 1, 2 %}{{ a }}{{ b }}", "12"},
             {"{% set q | upper %}hi {{ s }}{% endset %}{{ q }}", "HI HELLO"},
             {"{% macro m(x, y=2) %}{{ x }}-{{ y }}{% endmacro %}{{ m(1) }} {{ m(y=4, x=5) }}", "1-2 5-4"},
             {"{% macro f(n) %}{{ n }}{{ f(n - 1) if n }}{% endmacro %}{{ f(3) }}", "3210"},
             {"{% generation %}{% set a = 1 %}{{ a }}{% endgeneration %}{{ a }}", "17"}}});
}

TEST_CASE("filters and tests over sequences") {
  const nlohmann::ordered_json people = {
      {"people", {{{"name", "Ann"}, {"age", 41}}, {{"name", "bob"}, {"age", 7}}, {{"name", "Cid"}, {"age", 41}}}}};
  CHECK(render("{{ people|selectattr('age', 'equalto', 41)|map(attribute='name')|join(',') }}", people) == "Ann,Cid");
  CHECK(render("{{ people|sort(attribute='age')|map(attribute='name')|list }}", people) == "['bob', 'Ann', 'Cid']");
  CHECK(render("{{ people|map(attribute='age')|unique|sum }}", people) == "48");
  CHECK(render("{{ (people|first).name }} {{ (people|last).name }} {{ people|length }}", people) == "Ann Cid 3");
  CHECK(render("{{ x is defined }} {{ x|default('y') }} {{ people is iterable }} {{ people[0] is mapping }}", people) ==
        "False y True True");
}

TEST_CASE("an undefined value prints as nothing and is an error where it is used") {
  CHECK(render("[{{ x }}]{% if x %}1{% endif %}{% for y in x %}2{% endfor %}") == "[]");
  CHECK(render("{{ x.y }}") == "error: Chat template, line 1: 'x' is undefined.");
  CHECK(render("{{ x + 1 }}") == "error: Chat template, line 1: 'x' is undefined.");
}
