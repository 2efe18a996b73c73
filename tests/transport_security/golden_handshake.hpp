// One handshake with fixed nonces, as reference_handshake.py computes it. It holds the layout of the wire: when a value
// changes, nodes of two versions no longer understand each other.
#pragma once

#include <string_view>

namespace troupe::test::golden {

inline constexpr std::string_view secret = "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd";
inline constexpr std::string_view hello =
    "5452480101000300202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f8ed3f6ad685b959ead7022518e1af76c11"
    "1111111111111111111111111111111111111111111111010d31302e302e302e313a37313030";
inline constexpr std::string_view challenge =
    "545248020300606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f22222222222222222222222222222222222222"
    "2222222222020d31302e302e302e323a3731303077343a1f6791b4a185abf68e2ef00a1416b5e2e51014305e2cc20dd70e29f0c1";
inline constexpr std::string_view proof = "545248035655c1887af452ddb312ede28692eaf6505a2a0ceb9c870bdd40aa0111958609";
inline constexpr std::string_view ready =
    "5452480404030201a7526bc04d837acfa938f2af614a2e468a63444cb05ad411277c3b6f382a61ab";
inline constexpr std::string_view initiator_key = "34bed156793a18dbbb05c9a53f523429fe0a13b490bb09c10d53dbc6bcf94bbe";
inline constexpr std::string_view responder_key = "c2b6f958e2841b47904260ceb7e3a78bf105a3b5e6ee3539230066c3a893b694";
inline constexpr std::string_view initiator_salt = "a56b3e23";
inline constexpr std::string_view responder_salt = "bd03b313";

}  // namespace troupe::test::golden
