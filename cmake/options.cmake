# SPDX-License-Identifier: BSD-3-Clause
# Reads meson_options.txt, the one list of build options, and declares each as a cache variable LASTACK_<NAME>.
# A line this cannot read is an error, so that the two builds cannot drift apart unseen.

set(options_file "${CMAKE_CURRENT_SOURCE_DIR}/meson_options.txt")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${options_file}")
file(STRINGS "${options_file}" option_lines REGEX "^[ \t]*[^# \t]")
foreach(line IN LISTS option_lines)
  if(NOT line MATCHES
     "^option\\('([a-z_]+)', type: '(string|boolean)', value: '?([^',]*)'?, description: '(.*)'\\)$")
    message(FATAL_ERROR "meson_options.txt: cannot read this line, see the form stated at its top: ${line}")
  endif()
  set(name "${CMAKE_MATCH_1}")
  set(type "${CMAKE_MATCH_2}")
  set(value "${CMAKE_MATCH_3}")
  set(description "${CMAKE_MATCH_4}")
  string(TOUPPER "LASTACK_${name}" variable)
  if(type STREQUAL "boolean")
    option(${variable} "${description}" ${value})
  else()
    set(${variable} "${value}" CACHE STRING "${description}")
  endif()
endforeach()
