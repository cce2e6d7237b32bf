// SPDX-License-Identifier: BSD-3-Clause
// Control messages: what recvmsg() tells beside the octets.
//
// TCP_INQ: how many octets are left unread.
//
// MSG_ZEROCOPY, as far as its caller sees it: each send() with it has a number, and the error queue
// tells from which to which number the memory is the caller's again. What is sent is copied here,
// so the memory is free when the call returns, and every entry says SO_EE_CODE_ZEROCOPY_COPIED, as
// Linux's do where it copies after all. Neighbouring numbers are told in one entry, so that an
// error queue is never longer than one: two numbers a socket.
#include <time.h>  // linux/errqueue.h wants its timespec

#include <linux/errqueue.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

#include "socket/table.hpp"

namespace lastack::socket {

namespace {

// What Linux puts behind IP_RECVERR: the error and who caused it, here nobody.
struct completion_message {
    sock_extended_err error;
    sockaddr_in offender;
};

// Linux's put_cmsg(): a control message that does not fit is cut, and MSG_CTRUNC says so.
void put_control(msghdr& message, int level, int type, std::span<const std::byte> data) {
    cmsghdr header{};
    header.cmsg_level = level;
    header.cmsg_type = type;
    const std::size_t room = message.msg_control == nullptr ? 0 : message.msg_controllen;
    message.msg_controllen = 0;
    if (room < sizeof header) {
        message.msg_flags |= MSG_CTRUNC;
        return;
    }
    header.cmsg_len = std::min(CMSG_LEN(data.size()), room);
    if (header.cmsg_len < CMSG_LEN(data.size())) {
        message.msg_flags |= MSG_CTRUNC;
    }
    auto* const at = static_cast<std::byte*>(message.msg_control);
    std::memcpy(at, &header, sizeof header);
    std::memcpy(at + CMSG_LEN(0), data.data(), header.cmsg_len - CMSG_LEN(0));
    message.msg_controllen = std::min(CMSG_SPACE(data.size()), room);
}

}  // namespace

// What a recvmsg() that has read tells besides.
void table::tell_of_message(int fd, msghdr& message) {
    message.msg_namelen = 0;
    message.msg_flags = 0;
    const description* const d = find(fd);
    if (d == nullptr || !d->options.tell_unread) {
        message.msg_controllen = 0;
        return;
    }
    // As Linux: behind the peer's FIN there is one more, so that its end is read too.
    const int left = static_cast<int>(unread(*d)) + (d->eof ? 1 : 0);
    put_control(message, IPPROTO_TCP, TCP_CM_INQ, std::as_bytes(std::span(&left, 1)));
}

void table::complete_zero_copy(description& d) {
    ++d.zero_copy_sent;
    notify(d, EPOLLERR);
}

ssize_t table::receive_completion(int fd, msghdr* message) {
    int error = 0;
    description* const d = find_tcp(fd, error);
    if (d == nullptr) {
        return error;
    }
    if (d->zero_copy_told == d->zero_copy_sent) {
        return -EAGAIN;
    }
    completion_message m{};
    m.error.ee_origin = SO_EE_ORIGIN_ZEROCOPY;
    m.error.ee_code = SO_EE_CODE_ZEROCOPY_COPIED;
    m.error.ee_info = d->zero_copy_told;
    m.error.ee_data = d->zero_copy_sent - 1;
    d->zero_copy_told = d->zero_copy_sent;
    if (message != nullptr) {
        message->msg_namelen = 0;
        message->msg_flags = MSG_ERRQUEUE;
        put_control(*message, SOL_IP, IP_RECVERR, std::as_bytes(std::span(&m, 1)));
    }
    return 0;
}

}  // namespace lastack::socket
