// SPDX-License-Identifier: BSD-3-Clause
// The send queue against a string: whatever is appended, acknowledged and asked for, in any order,
// find() says where the octet lies, also when the place it remembers has been let go.
#include "tcp/send_queue.hpp"

#include <gtest/gtest.h>

#include <rte_mbuf.h>

#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "support/environment.hpp"
#include "tcp/mbuf_source.hpp"

namespace lastack::tcp {
namespace {

constexpr std::uint32_t memory_max = 1u << 20;

class send_queue_test : public testing::Test {
  protected:
    void SetUp() override {
        test::environment::start();
        pools_.emplace();
        mbufs_ = mbuf_source{pools_->get().data, nullptr};
    }
    void TearDown() override {
        queue_.clear();
        EXPECT_EQ(pools_->leaks(), "");
    }
    void append(std::size_t octets) {
        std::string text(octets, '\0');
        for (char& c : text) {
            c = static_cast<char>(random_());
        }
        const auto n =
            queue_.append_copy(std::as_bytes(std::span(text)), memory_max, mbufs_);
        held_ += text.substr(0, n);
    }
    // Mbufs of the application's own, which the queue may not write to.
    void append_chain(std::initializer_list<std::size_t> lengths) {
        rte_mbuf* chain = nullptr;
        for (const std::size_t length : lengths) {
            const std::string text(length, static_cast<char>(random_()));
            const auto* const octets = reinterpret_cast<const std::uint8_t*>(text.data());
            rte_mbuf* const m = test::make_frame(pools_->get().data, {octets, length});
            ASSERT_NE(m, nullptr);
            if (chain == nullptr) {
                chain = m;
            } else {
                rte_pktmbuf_chain(chain, m);
            }
            held_ += text;
        }
        queue_.append(chain);
    }
    void drop(std::size_t octets) {
        queue_.drop(static_cast<std::uint32_t>(octets), mbufs_);
        held_.erase(0, octets);
    }
    // One octet, and all that are in its mbuf behind it.
    void expect_found(std::size_t offset) {
        const auto at = queue_.find(static_cast<std::uint32_t>(offset));
        const std::string_view there(rte_pktmbuf_mtod_offset(at.segment, const char*, at.offset),
                                     at.segment->data_len - at.offset);
        ASSERT_FALSE(there.empty());
        EXPECT_EQ(there, std::string_view(held_).substr(offset, there.size())) << offset;
    }

    std::mt19937 random_{7};
    std::optional<test::test_pools> pools_;
    send_queue queue_;
    mbuf_source mbufs_;
    std::string held_;
};

TEST_F(send_queue_test, new_text_is_found_segment_by_segment_while_acks_let_go_of_the_head) {
    for (int round = 0; round < 50; ++round) {
        append(10'000);
        for (std::size_t at = 0; at < held_.size(); at += 1448) {
            expect_found(at);
        }
        drop(held_.size() / 2);
    }
}

TEST_F(send_queue_test, a_retransmission_goes_back_and_new_text_is_found_again) {
    append(30'000);
    expect_found(29'000);
    expect_found(0);       // the first segment was lost
    expect_found(1448);    // and the next
    expect_found(20'000);  // what SACK left out
    expect_found(29'000);
}

TEST_F(send_queue_test, an_ack_may_end_before_at_and_behind_the_place_that_is_remembered) {
    for (const std::size_t acked : {3'999u, 4'000u, 4'001u, 6'500u, 7'999u}) {
        append(8'000 - held_.size());
        expect_found(4'000);
        drop(acked);
        for (std::size_t at = 0; at < held_.size(); at += 100) {
            expect_found(at);
        }
    }
}

TEST_F(send_queue_test, everything_acknowledged_leaves_nothing_remembered) {
    append(5'000);
    expect_found(4'999);
    drop(5'000);
    EXPECT_EQ(queue_.octets(), 0u);
    EXPECT_EQ(queue_.memory(), 0u);
    append(100);
    expect_found(99);
}

TEST_F(send_queue_test, an_empty_mbuf_is_passed_over) {
    append_chain({10, 0, 20});
    expect_found(9);
    expect_found(10);
    drop(10);
    expect_found(0);
    expect_found(19);
}

TEST_F(send_queue_test, anything_in_any_order) {
    for (int step = 0; step < 20'000; ++step) {
        const auto up_to = [this](std::size_t n) { return random_() % n; };
        switch (up_to(8)) {
            case 0:
                append(1 + up_to(6'000));
                break;
            case 1:
                append_chain({1 + up_to(1'500), 1 + up_to(40), 1 + up_to(1'500)});
                break;
            case 2:
                drop(up_to(held_.size() + 1));
                break;
            default:
                if (!held_.empty()) {
                    expect_found(up_to(held_.size()));
                }
        }
        ASSERT_EQ(queue_.octets(), held_.size());
        ASSERT_FALSE(HasFailure()) << "step " << step;
    }
}

}  // namespace
}  // namespace lastack::tcp
