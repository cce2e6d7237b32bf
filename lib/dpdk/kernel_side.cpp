// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk/kernel_side.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace lastack::dpdk {
namespace {

// SIOC{G,S}IF* take the interface's name and one value; here the value is an IPv4 address.
ifreq request(const std::string& interface, std::uint32_t address = 0) {
    ifreq r{};
    std::strncpy(r.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(address);
    std::memcpy(&r.ifr_addr, &in, sizeof in);
    return r;
}

}  // namespace

result<bool, std::string> check_unused(const std::string& interface) {
    ethtool_value carrier{ETHTOOL_GLINK, 0};
    auto r = request(interface);
    r.ifr_data = reinterpret_cast<char*>(&carrier);
    const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool known = ::ioctl(control, SIOCETHTOOL, &r) == 0;
    if (control >= 0) {
        ::close(control);
    }
    if (known && carrier.data != 0) {
        return failure{"interface " + interface +
                       " is in use by another process; end that, or name another interface "
                       "(--vdev=net_tap0,iface=NAME) and --address"};
    }
    return true;
}

result<bool, std::string> bring_up_kernel_side(const config::kernel_config& kernel) {
    const int control = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const auto done = [&](unsigned long what, ifreq r) { return ::ioctl(control, what, &r) == 0; };
    const auto& name = kernel.interface;
    bool good = control >= 0;
    if (good && kernel.address && !done(SIOCGIFADDR, request(name))) {
        good = done(SIOCSIFADDR, request(name, kernel.address->address.bits)) &&
               done(SIOCSIFNETMASK, request(name, kernel.address->mask()));
    }
    if (good) {
        auto flags = request(name);
        good = ::ioctl(control, SIOCGIFFLAGS, &flags) == 0;
        flags.ifr_flags = static_cast<short>(flags.ifr_flags | IFF_UP);
        good = good && done(SIOCSIFFLAGS, flags);
    }
    const int error = errno;
    if (control >= 0) {
        ::close(control);
    }
    if (!good) {
        const auto address = kernel.address ? to_string(kernel.address->address) + "/" +
                                                  std::to_string(kernel.address->length)
                                            : std::string("ADDR/LEN");
        return failure{"interface " + name + " was not brought up (" + std::strerror(error) +
                       "); as root: ip addr add " + address + " dev " + name + " && ip link set " +
                       name + " up"};
    }
    return true;
}

}  // namespace lastack::dpdk
