#include "catch.hpp"
#include "grammar/reading.hpp"
#include "runtime/grammar/gbnf_parser.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

struct membership {
  std::string_view grammar;
  std::vector<std::string> accepted;
  std::vector<std::string> rejected;
};

}  // namespace

TEST_CASE("GBNF errors name the place and what was wrong", "[grammar][gbnf]") {
  struct row {
    std::string_view source;
    std::string_view message;
  };
  const row rows[] = {
      {"", "line 1, column 1: there is no rule \"root\""},
      {"# nothing\n", "line 2, column 1: there is no rule \"root\""},
      {"a ::= \"x\"", "there is no rule \"root\""},
      {"root ::= b", "line 1, column 10: the rule \"b\" is not defined"},
      {"root ::= \"x\"\nroot ::= \"y\"", "line 2, column 1: the rule \"root\" is defined twice"},
      {"root ::= root \"x\" | \"y\"", "line 1, column 1: the rule \"root\" calls itself before it reads anything"},
      {"root ::= a\na ::= \"\"? b\nb ::= [x]* a", "line 1, column 10: the rule \"a\" calls itself before"},
      {"root ::= \"x", "line 1, column 12: the literal is not closed"},
      {"root ::= \"x\n\"", "line 1, column 12: the literal is not closed"},
      {"root ::= [a", "line 1, column 12: the class is not closed"},
      {"root ::= []", "line 1, column 10: the class is empty"},
      {"root ::= [^]", "line 1, column 10: the class is empty"},
      {"root ::= [^\\x00-\\U0010FFFF]", "line 1, column 10: the class holds no character"},
      {"root ::= [z-a]", "line 1, column 11: this range ends before it begins"},
      {"root ::= (\"a\"", "line 1, column 10: this \"(\" is not closed"},
      {"root ::= \"a\")", "line 1, column 13: this \")\" closes nothing"},
      {"root ::= *", "line 1, column 10: there is nothing before this \"*\""},
      {"root ::= \"a\" | {2}", "line 1, column 16: there is nothing before this \"{\""},
      {"root ::= \"a\"{2", "line 1, column 13: this \"{\" is not closed"},
      {"root ::= \"a\"{x}", "line 1, column 14: a number is expected"},
      {"root ::= \"a\"{3,2}", "line 1, column 13: the repetition's upper bound is below"},
      {"root ::= \"a\"{5000}", "line 1, column 14: a repetition is bounded by 4096"},
      {"root ::= \"a\"{0,99999999999999999999}", "line 1, column 16: a repetition is bounded by 4096"},
      {"root = \"a\"", "line 1, column 6: after the rule's name \"::=\" is expected"},
      {"root ::= \"a\" ::= b", "line 1, column 14: a literal, a class, a group or the name of a rule"},
      {"\n\n  ::= a", "line 3, column 3: a rule begins with its name"},
      {"root ::= \"é\\q\"", "line 1, column 12: this escape is unknown"},
      {"root ::= \"\\x4\"", "line 1, column 11: this escape takes 2 hexadecimal digits"},
      {"root ::= \"\\uD800\"", "line 1, column 11: this escape is no character"},
      {"root ::= \"\\U00110000\"", "line 1, column 11: this escape is no character"},
      {"root ::= \"\xff\"", "line 1, column 11: the grammar is not UTF-8"},
      {"root ::= <[12]>", "line 1, column 10: tokens in angle brackets are not supported"},
      {"root ::= \"a\" root", "no text matches the grammar"},
      {"root ::= \"a\"??????", "more than four repetitions"},
  };
  for (const auto& [source, message] : rows) {
    CAPTURE(source);
    const auto compiled = compile_gbnf(source);
    REQUIRE(!compiled);
    CHECK(compiled.error().code == errc::invalid_argument);
    CHECK_THAT(compiled.error().message, Catch::Matchers::Contains(std::string(message)));
  }
}

TEST_CASE("GBNF means what llama.cpp's manual says", "[grammar][gbnf]") {
  const membership rows[] = {
      {R"(root ::= "yes" | "no")", {"yes", "no"}, {"", "y", "yesno", "maybe"}},
      {R"(root ::= "")", {""}, {"a"}},
      {"root ::= | \"a\"", {"", "a"}, {"aa"}},
      {R"(root ::= [a-c]+ [^a-c]? .)", {"ab", "abcxé", "aé日"}, {"a", "x", "axyz"}},
      {R"(root ::= [-a] [a-] [\]\[^])", {"--]", "aa[", "-a^"}, {"b-]", "aab"}},
      {R"(root ::= "\x41\u00e9\U0001F600\n\t\r\"\\\[\]")", {"Aé😀\n\t\r\"\\[]"}, {"A"}},
      {R"(root ::= "ab"{2} "c"{1,} "d"{0,2} "e"{,1} "f"{ 1 , 2 })",
       {"ababcf", "ababccddeff"},
       {"abcf", "ababf", "ababcdddf"}},
      {R"(root ::= "ab"* "c")", {"c", "ababc"}, {"abbc"}},
      {R"(root ::= "a"{0} "b")", {"b"}, {"ab"}},
      {R"(root ::= ("a" | "b" ("c" | "d"))*)", {"", "abcbd"}, {"b", "ac"}},
      {"root ::= (\n  \"a\" # one\n  | \"b\"\n)\n  | \"c\" |\n \"d\" # end", {"a", "b", "c", "d"}, {"ab"}},
      {"root ::=\n \"a\" b\r\nb ::= \"b\"\r\n", {"ab"}, {"a"}},
      {"root ::= \"(\" root \")\" | \"x\"", {"x", "((x))"}, {"((x)", "()"}},
      {"root ::= s\ns ::= \"a\" s \"b\" | \"\"", {"", "ab", "aaabbb"}, {"aab", "ba"}},
      {"root ::= p\np ::= \"a\" p \"a\" | \"b\" p \"b\" | \"c\"", {"c", "abcba", "abacaba"}, {"abcab", "aca "}},
      {"root ::= [^\\x00-\\x7F]+", {"é日😀"}, {"a", "\xc3", "\xed\xa0\x80"}},
      {"root ::= list\nlist ::= item (\",\" item)*\nitem ::= [0-9]+ | \"[\" list? \"]\"",
       {"1", "12,[3,[]],4"},
       {"", ",", "[1", "1,,2"}},
      // The grammar of chess moves and of arithmetic from llama.cpp's manual, in outline.
      {"root ::= (expr \"=\" ws term \"\\n\")+\nexpr ::= term ([-+*/] term)*\nterm ::= ident | num | \"(\" ws expr "
       "\")\" ws\n"
       "ident ::= [a-z] [a-z0-9_]* ws\nnum ::= [0-9]+ ws\nws ::= [ \\t\\n]*",
       {"1+2=3\n", "(a *b) = 4\n5=5\n"},
       {"1+2=3", "1+=3\n"}},
  };
  for (const auto& [source, accepted, rejected] : rows) {
    CAPTURE(source);
    const auto compiled = compile_gbnf(source);
    if (!compiled) FAIL(compiled.error().message);
    for (const auto& text : accepted) {
      CAPTURE(text);
      CHECK(accepts((*compiled)->automaton(), text));
    }
    for (const auto& text : rejected) {
      CAPTURE(text);
      CHECK(!accepts((*compiled)->automaton(), text));
    }
  }
}

TEST_CASE("what can never end is cut away before it is offered", "[grammar][gbnf]") {
  const auto compiled = compile_gbnf("root ::= \"a\" (\"b\" | endless | \"c\" endless)\nendless ::= \"x\" endless");
  REQUIRE(compiled);
  const auto& a = (*compiled)->automaton();
  CHECK(accepts(a, "ab"));
  CHECK(!begins(a, "ax"));
  CHECK(!begins(a, "ac"));
}
