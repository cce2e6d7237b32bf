# SPDX-License-Identifier: BSD-3-Clause
# Makes lastack::dpdk, the one way DPDK enters: the build and the installed package both include this file.
#
# DPDK is found by pkg-config and linked shared, as distributions ship it; EAL then loads the poll mode drivers from
# its own directory at start. Two things are changed from what libdpdk.pc says. Its includes are SYSTEM ones, so that
# its headers do not fall under our warnings. Its -march, which its inline functions need, is passed on to users of the
# installed package, but within the build the option `march` takes its place.
# librte_net_ring is a driver, but rte_eth_from_rings() is called by name, so it is linked too.

if(NOT TARGET lastack::dpdk)
  find_package(PkgConfig REQUIRED)
  pkg_check_modules(LASTACK_DPDK REQUIRED QUIET libdpdk>=22.11)
  find_library(LASTACK_DPDK_NET_RING rte_net_ring HINTS ${LASTACK_DPDK_LIBRARY_DIRS} REQUIRED)

  set(options ${LASTACK_DPDK_CFLAGS_OTHER})
  if(DEFINED LASTACK_MARCH)
    list(FILTER options EXCLUDE REGEX "^-march=")
  endif()
  list(JOIN options " " options)

  add_library(lastack::dpdk INTERFACE IMPORTED)
  target_include_directories(lastack::dpdk SYSTEM INTERFACE ${LASTACK_DPDK_INCLUDE_DIRS})
  target_compile_options(lastack::dpdk INTERFACE "SHELL:${options}")
  target_link_directories(lastack::dpdk INTERFACE ${LASTACK_DPDK_LIBRARY_DIRS})
  target_link_libraries(lastack::dpdk INTERFACE ${LASTACK_DPDK_LDFLAGS} ${LASTACK_DPDK_NET_RING})
endif()
