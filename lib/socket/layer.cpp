// SPDX-License-Identifier: BSD-3-Clause
#include "lastack/socket_layer.hpp"

#include <utility>

#include "socket/table.hpp"

namespace lastack {

socket_layer::socket_layer(std::unique_ptr<socket::table> table) : table_(std::move(table)) {}
socket_layer::~socket_layer() = default;

result<std::unique_ptr<socket_layer>, std::string> socket_layer::make(
    local_stack calls, const socket_layer_options& options) {
    auto table = socket::table::make(calls, options);
    if (!table) {
        return failure{table.error()};
    }
    return std::unique_ptr<socket_layer>(new socket_layer(std::move(*table)));
}

void socket_layer::take(std::span<const event> events) {
    table_->take(events);
}
void socket_layer::close_all() {
    table_->close_all();
}

socket_layer::scope::scope(socket_layer& layer)
    : before_(std::exchange(socket::table::current(), layer.table_.get())) {}
socket_layer::scope::~scope() {
    socket::table::current() = before_;
}

}  // namespace lastack
