# SPDX-License-Identifier: BSD-3-Clause
# lastack_room(NAME [LINKS target...]): one folder of lib/ as one target, lastack_NAME.
#
# LINKS holds the arrows that leave the room, so the targets' link graph is the diagram of docs/architecture.md. Each
# room is a static library of its own: a test of a room links that room and what it points at, and a call against the
# arrows does not link. (tests/arrows says the same of includes.) A room of headers only becomes an interface library.

function(lastack_room name)
  cmake_parse_arguments(room "" "" "LINKS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/lib/${name}/*.cpp")
  if(sources)
    add_library(lastack_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(lastack_${name} PRIVATE lastack_build_flags)
    # So that the stack can be part of a shared object.
    set_target_properties(lastack_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    set_property(GLOBAL APPEND PROPERTY lastack_compiled_rooms ${name})
  else()
    add_library(lastack_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  set_property(GLOBAL APPEND PROPERTY lastack_rooms ${name})
  target_include_directories(lastack_${name} ${scope} "${PROJECT_SOURCE_DIR}/lib" "${PROJECT_SOURCE_DIR}/lib/include")
  target_link_libraries(lastack_${name} ${scope} ${room_LINKS})
endfunction()
