#include "kernels/table.hpp"

#include "catch.hpp"
#include "tables.hpp"

using namespace troupe::kernels;

TEST_CASE("the reference can always run, and the best is among the available", "[table]") {
  REQUIRE_FALSE(available().empty());
  CHECK(available().front() == &reference());
  CHECK(available().back() == &best());
  CHECK(reference().isa == "reference");
}

TEST_CASE("tables are chosen by name, the best without one", "[table]") {
  for (const table* one : available())
    CHECK(*choose(one->isa) == one);
  CHECK(*choose("") == &best());
  const auto unknown = choose("avx3");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message.find("\"avx3\"") != std::string::npos);
  CHECK(unknown.error().message.find("there are: reference") != std::string::npos);
}

#if defined(__x86_64__)
TEST_CASE("a table that this processor cannot run says what it would need", "[table]") {
  if (choose("avx512")) return;
  const auto refused = choose("avx512");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("\"avx512\" need AVX-512 F, BW, DQ, VL and VNNI") != std::string::npos);
  CHECK(refused.error().message.find("this processor lacks AVX") != std::string::npos);
  CHECK(refused.error().message.find("there are: reference") != std::string::npos);
}
#endif

TEST_CASE("every table has every operation and rows of whole cache lines", "[table]") {
  for (const table* one : tested_tables()) {
    CAPTURE(one->isa);
    CHECK((one->packed_bytes && one->pack_linear && one->activation_format_for && one->activation_bytes));
    CHECK((one->prepare_activations && one->linear && one->dequantize_row));
    CHECK((one->rms_norm && one->layer_norm && one->rope && one->silu_mul && one->gelu_mul && one->gelu && one->add));
    CHECK((one->store_kv && one->attention && one->argmax && one->log_sum_exp));
    CHECK(one->output_tile > 0);
    for (const weight_type type : weight_types)
      for (const std::uint32_t n_in : {32u, 96u, 576u})
        CHECK(one->activation_bytes(one->activation_format_for(type), n_in) % 64 == 0);
  }
}
