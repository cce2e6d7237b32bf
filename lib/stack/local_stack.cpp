// SPDX-License-Identifier: BSD-3-Clause
// The public calls, handed to the core's TCP engine.
#include "lastack/local_stack.hpp"

#include "stack/core.hpp"

namespace lastack {

result<listener_id, call_error> local_stack::listen(const endpoint& local,
                                                    const listen_options& o) {
    return core_->tcp().listen(local, o);
}
result<listener_id, call_error> local_stack::bind(const endpoint& local, const port_options& o) {
    return core_->tcp().bind(local, o);
}
result<bool, call_error> local_stack::listen(listener_id id, const listen_options& o) {
    return core_->tcp().listen(id, o);
}
result<bool, call_error> local_stack::set_port_options(listener_id id, const port_options& o) {
    return core_->tcp().set_port_options(id, o);
}
result<bool, call_error> local_stack::set_port_options(conn_id id, const port_options& o) {
    return core_->tcp().set_port_options(id, o);
}
result<endpoint, call_error> local_stack::local_endpoint(listener_id id) const {
    return core_->tcp().local_endpoint(id);
}
result<bool, call_error> local_stack::close_listener(listener_id id) {
    return core_->tcp().close_listener(id);
}
result<conn_id, call_error> local_stack::connect(const endpoint& remote, const connect_options& o) {
    return core_->tcp().connect(remote, o);
}
result<std::size_t, call_error> local_stack::syn_room(conn_id id) const {
    return core_->tcp().syn_room(id);
}
result<std::size_t, call_error> local_stack::send(conn_id id, std::span<const std::byte> data,
                                                  send_options o) {
    return core_->tcp().send(id, data, o);
}
result<bool, call_error> local_stack::send(conn_id id, buffer& data) {
    return core_->tcp().send(id, data);
}
result<buffer, call_error> local_stack::receive(conn_id id) {
    return core_->tcp().receive(id);
}
result<std::size_t, call_error> local_stack::receive(conn_id id, std::span<std::byte> into) {
    return core_->tcp().receive(id, into);
}
result<std::size_t, call_error> local_stack::peek(conn_id id, std::size_t offset,
                                                  std::span<std::byte> into) const {
    return core_->tcp().peek(id, offset, into);
}
result<bool, call_error> local_stack::accepted(conn_id id) {
    return core_->tcp().accepted(id);
}
result<listener_id, call_error> local_stack::migrate(conn_id id) {
    return core_->tcp().migrate(id);
}
result<connection_info, call_error> local_stack::info(conn_id id) const {
    return core_->tcp().info(id);
}
result<bool, call_error> local_stack::shutdown(conn_id id, shutdown_how how) {
    return core_->tcp().shutdown(id, how);
}
result<bool, call_error> local_stack::close(conn_id id, completion c) {
    return core_->tcp().close(id, c);
}
result<bool, call_error> local_stack::abort(conn_id id, completion c) {
    return core_->tcp().abort(id, c);
}
result<bool, call_error> local_stack::set_user(conn_id id, std::uint64_t user) {
    return core_->tcp().set_user(id, user);
}
result<connection_options, call_error> local_stack::options(conn_id id) const {
    return core_->tcp().options(id);
}
result<bool, call_error> local_stack::set_options(conn_id id, const connection_options& o) {
    return core_->tcp().set_options(id, o);
}
result<bool, call_error> local_stack::set_linger(conn_id id, linger_option o) {
    return core_->tcp().set_linger(id, o);
}
result<bool, call_error> local_stack::set_no_delay(conn_id id, bool on) {
    return core_->tcp().set_no_delay(id, on);
}
result<bool, call_error> local_stack::set_cork(conn_id id, bool on) {
    return core_->tcp().set_cork(id, on);
}
result<bool, call_error> local_stack::set_keepalive(conn_id id, keepalive_option o) {
    return core_->tcp().set_keepalive(id, o);
}
result<bool, call_error> local_stack::set_user_timeout(conn_id id, milliseconds timeout) {
    return core_->tcp().set_user_timeout(id, timeout);
}
result<bool, call_error> local_stack::set_linger2(conn_id id, int timeout_s) {
    return core_->tcp().set_linger2(id, timeout_s);
}
result<std::size_t, call_error> local_stack::unread(conn_id id) const {
    return core_->tcp().unread(id);
}
result<std::size_t, call_error> local_stack::unsent(conn_id id) const {
    return core_->tcp().unsent(id);
}
result<endpoint, call_error> local_stack::remote_endpoint(conn_id id) const {
    return core_->tcp().remote_endpoint(id);
}
result<endpoint, call_error> local_stack::local_endpoint(conn_id id) const {
    return core_->tcp().local_endpoint(id);
}
void local_stack::set_foreign_frames(foreign_frame_hook hook) {
    core_->set_foreign(hook);
}
void local_stack::drain() {
    core_->drain();
}
std::uint32_t local_stack::capacity() const {
    return core_->settings().connections;
}
void local_stack::count_coroutine_pool_empty() {
    core_->tcp().counters().add(counter::coroutine_pool_empty);
}
buffer local_stack::allocate(std::size_t octets) {
    return core_->tcp().allocate(octets);
}

}  // namespace lastack
