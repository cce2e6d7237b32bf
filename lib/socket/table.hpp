// SPDX-License-Identifier: BSD-3-Clause
// One lcore's descriptors, and Linux's socket calls on them.
//
// A call returns what the system call returns inside the kernel: a result from 0 on, or -errno;
// calls.cpp turns that into -1 and errno. Each is a loop of three steps: try; if that would block,
// wait (the host's hook turns the core or sleeps); look the descriptor up again, for another call
// may have closed it meanwhile. One file for each idea:
//   table.cpp      descriptors, waiting, events of the stack
//   connection.cpp socket, bind, listen, accept, connect, shutdown, close, names
//   transfer.cpp   receiving and sending
//   messages.cpp   control messages, MSG_ERRQUEUE
//   options.cpp    getsockopt, setsockopt;  tcp_info.cpp  TCP_INFO
//   epoll.cpp      epoll;  poll.cpp  the readiness of a socket, poll
//   calls.cpp      the C functions;  layer.cpp  socket_layer;  run.cpp  lastack_run
//
// Memory: pools reserved at start; a description is about 300 octets, an interest 56. A call costs
// O(1); poll() costs its array, epoll_wait() what is ready.
#pragma once

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/index_pool.hpp"
#include "base/region.hpp"
#include "lastack/local_stack.hpp"
#include "lastack/result.hpp"
#include "lastack/socket_layer.hpp"
#include "socket/description.hpp"
#include "socket/vector_cursor.hpp"

namespace lastack::socket {

class table {
  public:
    static result<std::unique_ptr<table>, std::string> make(local_stack,
                                                            const socket_layer_options&);

    void take(std::span<const event>);
    void close_all();
    // 0, -EBADF, or -EINVAL of what cannot be read and written.
    int check_file(int fd);

    // connection.cpp
    int open_socket(int domain, int type, int protocol);
    int bind(int fd, const sockaddr* address, socklen_t length);
    int listen(int fd, int backlog);
    int accept(int fd, sockaddr* address, socklen_t* length, int flags);
    int connect(int fd, const sockaddr* address, socklen_t length);
    int shutdown(int fd, int how);
    int close(int fd);
    int local_name(int fd, sockaddr* address, socklen_t* length);
    int peer_name(int fd, sockaddr* address, socklen_t* length);

    // transfer.cpp
    ssize_t receive(int fd, vector_cursor into, int flags);
    // The address is for MSG_FASTOPEN.
    ssize_t send(int fd, vector_cursor from, int flags, const sockaddr* address = nullptr,
                 socklen_t length = 0);
    int fcntl(int fd, int command, long argument);
    int ioctl(int fd, unsigned long request, int* argument);

    // messages.cpp. MSG_ERRQUEUE: `message` may be null.
    ssize_t receive_completion(int fd, msghdr* message);
    void tell_of_message(int fd, msghdr& message);

    // options.cpp
    int get_option(int fd, int level, int option, void* value, socklen_t* length);
    int set_option(int fd, int level, int option, const void* value, socklen_t length);

    // poll.cpp, epoll.cpp
    int poll(pollfd* descriptors, nfds_t count, int timeout_ms);
    int epoll_create(int flags);
    int epoll_control(int epoll, int operation, int fd, const epoll_event* event);
    int epoll_wait(int epoll, epoll_event* events, int count, int timeout_ms);

    // The layer of this thread, or nullptr.
    static table*& current();

  private:
    table(local_stack calls, const socket_layer_options& options)
        : calls_(calls), options_(options) {}

    // How long a call may still wait.
    struct patience {
        std::int64_t until_us = 0;   // of the clock; -1: no end
        std::uint32_t place = npos;  // of a call that may not wait: of its descriptor
        bool blocking = false;
        bool looked = false;
    };

    // table.cpp
    description* find(int fd);
    description* find_tcp(int fd, int& error);
    std::uint32_t place_of(const description& d) const { return pool_.index_of(d); }
    // A description with a number, or -errno.
    int new_descriptor(kind what, description*& made);
    int give_number(description& d);
    void give_back_number(description& d);
    void free_description(description& d);
    patience patience_for(const description* d, bool blocking, std::int64_t timeout_us);
    void turn(patience& p);
    // 0: look again; -EAGAIN: no longer; or why waiting is refused.
    int pause(patience& p);
    int pause_unblocked(patience& p);
    description* by_user(const event& e);
    std::uint64_t user_of(const description& d) const;
    void on_event(description& d, const event& e);
    void on_child(const event& e);
    void on_ended(description& d, close_outcome outcome);

    // connection.cpp
    static int check_connectable(const description& d);
    int start_connect(description& d, const sockaddr* address, socklen_t length, bool fast_open);
    int finish_connect(int fd, int so_far, bool blocking);
    void disconnect(description& d);
    static listen_options listening(const description& d);
    int start_listening(description& d, int backlog);
    void stop_listening(description& d);
    bool aborting_resets(const description& d) const;
    int close_lingering(description& d);
    int take_port(description& d, const endpoint& local);
    void take_port_again(description& d);
    void push_child(description& listener, description& child);
    description* pop_child(description& listener);
    description* listener_of(listener_id id);

    // transfer.cpp
    std::size_t copy_out(description& d, vector_cursor& into, int flags);
    ssize_t send_octets(description* d, int fd, vector_cursor from, int flags);
    std::size_t copy_in(description& d, vector_cursor& from, int flags);
    int send_with_syn(int fd, vector_cursor& from, int flags, const sockaddr* address,
                      socklen_t length, std::size_t& taken);
    std::size_t unread(const description& d) const;
    int end_of_reading(description& d);
    int sending_refused(description& d);
    static int take_error(description& d);

    // messages.cpp
    void complete_zero_copy(description& d);

    // options.cpp
    void apply_options(description& d);
    int set_socket_option(description& d, int option, const void* value, socklen_t length);
    int set_tcp_option(description& d, int option, int value);
    int set_ip_option(description& d, int option, const void* value, socklen_t length);
    int get_socket_option(description& d, int option, void* value, socklen_t* length);
    int get_tcp_option(description& d, int option, void* value, socklen_t* length);
    int get_ip_option(description& d, int option, void* value, socklen_t* length);
    int current_mss(const description& d) const;
    int get_tcp_info(description& d, void* value, socklen_t* length);

    // poll.cpp
    std::uint32_t readiness(const description& d) const;
    int poll_once(std::span<pollfd> descriptors);

    // epoll.cpp
    void notify(description& d, std::uint32_t key);
    void forget_interests(description& d);
    std::uint32_t find_interest(const description& target, std::uint32_t epoll) const;
    int add_interest(description& instance, description& target, const epoll_event& event);
    void remove_interest(std::uint32_t index);
    void make_ready(std::uint32_t index);
    void unready(std::uint32_t index);
    int collect(description& instance, std::span<epoll_event> into);

    local_stack calls_;
    socket_layer_options options_;
    index_pool<description> pool_;
    index_pool<interest> interests_;
    fixed_array<std::uint32_t> by_number_;  // descriptor to place + 1; 0: none
    int lowest_free_ = 0;                   // no number below it is free
    std::uint32_t serial_ = 0;
    std::uint32_t turns_ = 0;
    std::uint32_t first_listener_ = npos;
};

}  // namespace lastack::socket
