# SPDX-License-Identifier: BSD-3-Clause
# find_package(lastack): lastack::lastack, the stack, and lastack::core, the part that knows no DPDK.
#
# Both are made from the .pc files beside it, so what a user links is stated once, whichever build installed it.
# PKG_CONFIG_PATH is put back as it was found.
find_package(PkgConfig REQUIRED)
set(lastack_saved_path "$ENV{PKG_CONFIG_PATH}")
set(ENV{PKG_CONFIG_PATH} "${CMAKE_CURRENT_LIST_DIR}/../../pkgconfig:$ENV{PKG_CONFIG_PATH}")
foreach(package IN ITEMS lastack lastack-core)
  string(REGEX REPLACE "^lastack-" "" name "${package}")
  if(NOT TARGET lastack::${name})
    pkg_check_modules(lastack_pc_${name} REQUIRED QUIET IMPORTED_TARGET ${package})
    add_library(lastack::${name} ALIAS PkgConfig::lastack_pc_${name})
    target_compile_features(PkgConfig::lastack_pc_${name} INTERFACE cxx_std_20)
  endif()
endforeach()
set(ENV{PKG_CONFIG_PATH} "${lastack_saved_path}")
