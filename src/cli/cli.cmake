# SPDX-License-Identifier: Apache-2.0
# The command `floydattn`. It stands on floydattn.h alone, as any program would.
find_path(JANSSON_INCLUDE_DIR jansson.h)
find_library(JANSSON_LIBRARY jansson)
mark_as_advanced(JANSSON_INCLUDE_DIR JANSSON_LIBRARY)
if(NOT JANSSON_INCLUDE_DIR OR NOT JANSSON_LIBRARY)
  message(FATAL_ERROR "The command reads JSON with jansson, which is not here: install it (Debian: libjansson-dev), "
                      "or build without the command, -DFLOYDATTN_CLI=OFF")
endif()

add_executable(floydattn_cli
  cli/main.c cli/report.c cli/arguments.c cli/signals.c cli/progress.c
  cli/mapping.c cli/array.c cli/safetensors.c cli/npy.c cli/bundle.c
  cli/output.c cli/results.c cli/operate.c cli/forward_grad.c
  cli/machine.c cli/info.c cli/trial.c cli/compare.c cli/selftest.c cli/bench.c)
set_target_properties(floydattn_cli PROPERTIES OUTPUT_NAME floydattn
  INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR}")
target_compile_definitions(floydattn_cli PRIVATE _GNU_SOURCE)
target_include_directories(floydattn_cli PRIVATE ${CMAKE_CURRENT_SOURCE_DIR}/cli ${JANSSON_INCLUDE_DIR})
target_link_libraries(floydattn_cli PRIVATE
  floydattn_shared floyd_reference floyd_fma_peak ${JANSSON_LIBRARY} m)

install(TARGETS floydattn_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${PROJECT_SOURCE_DIR}/docs/floydattn.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
