# SPDX-License-Identifier: BSD-3-Clause
# What others take: lastack::core, the rooms that know no DPDK, and lastack::lastack, the whole stack on top of it.
#
# Each is one static library made of its rooms' objects. A user of lastack::lastack sees the public headers
# (lastack/...) only; a user of lastack::core sees the rooms' headers too ("teardown/state.hpp"), which are installed
# in a folder of their own, since their names are short. meson.build installs the same files.

include(CMakePackageConfigHelpers)
set(core_rooms base wire timer flow teardown ip)
set(upper_rooms config tcp stack dpdk socket)

function(lastack_merge target)
  get_property(compiled GLOBAL PROPERTY lastack_compiled_rooms)
  foreach(room IN LISTS ARGN)
    if(room IN_LIST compiled)
      list(APPEND objects $<TARGET_OBJECTS:lastack_${room}>)
    endif()
  endforeach()
  add_library(${target} STATIC ${objects})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${target} PUBLIC lib/include)
endfunction()

lastack_merge(lastack_core ${core_rooms})
target_include_directories(lastack_core PUBLIC lib)
add_library(lastack::core ALIAS lastack_core)

lastack_merge(lastack ${upper_rooms})
target_link_libraries(lastack PUBLIC lastack::dpdk
                              PRIVATE lastack_core spdlog::spdlog tomlplusplus::tomlplusplus)
add_library(lastack::lastack ALIAS lastack)

install(TARGETS lastack lastack_core ARCHIVE)
install(DIRECTORY lib/include/lastack DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
foreach(room IN LISTS core_rooms)
  install(DIRECTORY lib/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/lastack-core FILES_MATCHING PATTERN "*.hpp")
endforeach()
install(DIRECTORY drivers_config DESTINATION ${CMAKE_INSTALL_DATADIR}/lastack FILES_MATCHING PATTERN "*.toml")

# The .pc files state their prefix relative to where they lie, so that an install tree can be moved.
set(libdir ${CMAKE_INSTALL_LIBDIR})
set(includedir ${CMAKE_INSTALL_INCLUDEDIR})
set(version ${PROJECT_VERSION})
file(RELATIVE_PATH pc_to_prefix "/${libdir}/pkgconfig" "/")
foreach(package IN ITEMS lastack lastack-core)
  configure_file(cmake/${package}.pc.in ${package}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${package}.pc DESTINATION ${libdir}/pkgconfig)
endforeach()

write_basic_package_version_file(lastackConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/lastackConfig.cmake ${PROJECT_BINARY_DIR}/lastackConfigVersion.cmake
        DESTINATION ${libdir}/cmake/lastack)
