# SPDX-License-Identifier: Apache-2.0
# The vendor's names, on the host: the runtime (this directory) and the operators' surface (src/aclnn).
set(FLOYDATTN_ACLNN_SOURCES)
if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/aclnn/aclnn.cmake)
  include(aclnn/aclnn.cmake)
endif()

# The runtime alone, so that its tests can reach what the shared library does not export.
add_library(floydattn_acl_runtime OBJECT
  acl/callback.c acl/context.c acl/copy.c acl/device.c acl/event.c acl/fork.c acl/handle.c acl/init.c acl/memory.c
  acl/message.c acl/monitor.c acl/stream.c acl/stream_api.c acl/types.c)
add_library(floydattn_acl SHARED $<TARGET_OBJECTS:floydattn_acl_runtime> ${FLOYDATTN_ACLNN_SOURCES})
foreach(target floydattn_acl_runtime floydattn_acl)
  # struct sysinfo, fork handlers and the like are not in strict C11.
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
  target_include_directories(${target}
    PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include/cann>
    PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
endforeach()
set_target_properties(floydattn_acl_runtime PROPERTIES POSITION_INDEPENDENT_CODE ON)
set_target_properties(floydattn_acl PROPERTIES
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
  LINK_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/acl/floydattn_acl.map)
target_link_libraries(floydattn_acl PRIVATE floydattn_shared Threads::Threads)
# Streams run the library's code on their own threads: it must not be unmapped under them.
target_link_options(floydattn_acl PRIVATE -Wl,-z,nodelete ${no_undefined}
  -Wl,--version-script=${CMAKE_CURRENT_SOURCE_DIR}/acl/floydattn_acl.map)
