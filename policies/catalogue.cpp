#include "policies/catalogue.hpp"

#include <algorithm>
#include <array>

namespace troupe::policies {
namespace {

constexpr std::string_view llumnix_paper =
    "Biao Sun, Ziming Huang, Hanyu Zhao, Wencong Xiao, Xinyi Zhang, Yong Li, Wei Lin: Llumnix: Dynamic Scheduling for "
    "Large Language Model Serving. OSDI 2024";
constexpr std::string_view hexgen_paper =
    "You Peng, Youhe Jiang, Chen Wang, Binhang Yuan: HexGen-Text2SQL: Optimizing LLM Inference Request Scheduling for "
    "Agentic Text-to-SQL Workflow. arXiv 2505.05286, 2025";

constexpr std::array entries{
    policy_entry{policy_kind::dispatch, "least_loaded",
                 "Workers alike and nothing known of the requests: to who has the fewest prompt tokens to compute.",
                 "none"},
    policy_entry{policy_kind::dispatch, "round_robin", "A baseline: each worker in turn.", "none"},
    policy_entry{policy_kind::dispatch, "least_memory",
                 "KV memory is what runs out: to who has the least of it in use or asked for.",
                 "Francisco Romero, Qian Li, Neeraja J. Yadwadkar, Christos Kozyrakis: INFaaS: Automated Model-less "
                 "Inference Serving. USENIX ATC 2021; as INFaaS++, the baseline of Llumnix"},
    policy_entry{
        policy_kind::dispatch, "prefix_aware",
        "Prompts share long beginnings: to who has computed this one's, unless it is loaded far above the "
        "mean.",
        "Lianmin Zheng, Liangsheng Yin, Zhiqiang Xie, Chuyue Sun, Jeff Huang, Cody Hao Yu, Shiyi Cao, Christos "
        "Kozyrakis, Ion Stoica, Joseph E. Gonzalez, Clark Barrett, Ying Sheng: SGLang: Efficient Execution of "
        "Structured Language Model Programs. NeurIPS 2024"},
    policy_entry{policy_kind::dispatch, "llumnix",
                 "Answers of very unequal length, or urgent requests: to who can go on the longest before its memory "
                 "is full; best with rescheduling.",
                 llumnix_paper},
    policy_entry{policy_kind::dispatch, "hexgen_text2sql",
                 "Workers of unequal speed and programs of many calls: weighs where a call is quick against where "
                 "much is to be done.",
                 hexgen_paper},

    policy_entry{policy_kind::scheduler, "fcfs",
                 "Nothing is known of deadlines or lengths: order of arrival, long prompts in chunks beside the "
                 "streams.",
                 "Amey Agrawal, Nitin Kedia, Ashish Panwar, Jayashree Mohan, Nipun Kwatra, Bhargav Gulavani, Alexey "
                 "Tumanov, Ramachandran Ramjee: Taming Throughput-Latency Tradeoff in LLM Inference with "
                 "Sarathi-Serve. OSDI 2024"},
    policy_entry{policy_kind::scheduler, "prefill_first",
                 "The first token counts and gaps between tokens do not, or a worker only prefills: prompts whole, "
                 "before any stream goes on.",
                 "Woosuk Kwon, Zhuohan Li, Siyuan Zhuang, Ying Sheng, Lianmin Zheng, Cody Hao Yu, Joseph Gonzalez, Hao "
                 "Zhang, Ion Stoica: Efficient Memory Management for Large Language Model Serving with "
                 "PagedAttention. SOSP 2023"},
    policy_entry{policy_kind::scheduler, "sjf",
                 "The mean latency counts and long answers may wait: shortest predicted work first.",
                 "Yichao Fu, Siqi Zhu, Runlong Su, Aurick Qiao, Ion Stoica, Hao Zhang: Efficient LLM Scheduling by "
                 "Learning to Rank. NeurIPS 2024"},
    policy_entry{policy_kind::scheduler, "edf",
                 "Deadlines that can all be kept: the earliest first; past saturation it loses more than others.",
                 "C. L. Liu, James W. Layland: Scheduling Algorithms for Multiprogramming in a Hard-Real-Time "
                 "Environment. Journal of the ACM 20(1), 1973"},
    policy_entry{policy_kind::scheduler, "urgency",
                 "Programs of many calls with a deadline for the whole: the call with the least slack first.",
                 hexgen_paper},
    policy_entry{policy_kind::scheduler, "las",
                 "Lengths are unknown and very unequal: who was served least goes first, so short answers leave soon.",
                 "Michael Luo, Xiaoxiang Shi, Colin Cai, Tianjun Zhang, Justin Wong, Yichuan Wang, Chi Wang, Yanping "
                 "Huang, Zhifeng Chen, Joseph E. Gonzalez, Ion Stoica: Autellix: An Efficient Serving Engine for LLM "
                 "Agents as General Programs. arXiv 2502.13965, 2025"},
    policy_entry{policy_kind::scheduler, "jitserve",
                 "Streams, deadlines and programs mixed, near or past saturation: the most tokens inside their "
                 "objectives.",
                 "Wei Zhang, Zhiyu Wu, Yi Mu, Rui Ning, Banruo Liu, Nikhil Sarda, Myungjin Lee, Fan Lai: JITServe: "
                 "SLO-aware LLM Serving with Imprecise Request Information. NSDI 2026"},

    policy_entry{policy_kind::rescheduling, "none", "Requests stay where they are.", "none"},
    policy_entry{policy_kind::rescheduling, "llumnix",
                 "Answers of very unequal length on several workers: running requests leave the workers that would "
                 "run out of memory first.",
                 llumnix_paper},

    policy_entry{policy_kind::placement, "distserve",
                 "Targets for TTFT and TPOT are known: how many workers prefill, decode or do both (`troupe place`).",
                 "Yinmin Zhong, Shengyu Liu, Junda Chen, Jianbo Hu, Yibo Zhu, Xuanzhe Liu, Xin Jin, Hao Zhang: "
                 "DistServe: Disaggregating Prefill and Decoding for Goodput-optimized Large Language Model Serving. "
                 "OSDI 2024"},
};

constexpr std::uint32_t short_backlog = 16;
constexpr std::uint32_t long_backlog = 256;

}  // namespace

std::string_view to_string(policy_kind kind) {
  switch (kind) {
    case policy_kind::dispatch:
      return "dispatch";
    case policy_kind::scheduler:
      return "scheduler";
    case policy_kind::rescheduling:
      return "rescheduling";
    case policy_kind::placement:
      return "placement";
  }
  return "unknown";
}

std::span<const policy_entry> policy_catalogue() {
  return entries;
}

std::string policy_names(policy_kind kind) {
  std::string names;
  for (const auto& entry : entries)
    if (entry.kind == kind) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

std::uint32_t suitable_backlog(std::string_view scheduler, std::string_view dispatch) {
  constexpr std::array looking_ahead{"sjf", "edf", "urgency", "las", "jitserve"};
  const bool looks = std::ranges::find(looking_ahead, scheduler) != looking_ahead.end() || dispatch == "llumnix" ||
                     dispatch == "hexgen_text2sql";
  return looks ? long_backlog : short_backlog;
}

}  // namespace troupe::policies
