# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` lays out below the prefix:
#
#   bin/floydattn, share/man                  the command (by its own room)
#   include/floydattn.h                       the native interface
#   lib/libfloydattn.so.*, .a                 and its library
#   include/floydattn_cuda.h                  the same for tensors on a GPU, where it is built
#   lib/libfloydattn_cuda.so.*                and its library
#   lib/pkgconfig, lib/cmake/floydattn        how others find it
#   lib/floydattn/cann/{include,lib64}        the vendor's headers and linker names
#
# Nothing that bears a name of the vendor's lies outside the last directory, so that it never shadows a
# real toolkit. Nothing refers to the prefix by its full path: the whole may be moved.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/floydattn)
set(cann_dir ${CMAKE_INSTALL_LIBDIR}/floydattn/cann)

# The way from one directory of the prefix to another.
function(relative_dir variable from to)
  cmake_path(ABSOLUTE_PATH from BASE_DIRECTORY /prefix NORMALIZE)
  cmake_path(ABSOLUTE_PATH to BASE_DIRECTORY /prefix NORMALIZE)
  file(RELATIVE_PATH way ${from} ${to})
  set(${variable} ${way} PARENT_SCOPE)
endfunction()

# ---- The native library ----------------------------------------------------------------------------

install(TARGETS floydattn_shared floydattn_static EXPORT floydattnTargets)
install(FILES include/floydattn.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(TARGET floydattn_cuda)
  install(TARGETS floydattn_cuda EXPORT floydattnTargets)
  install(FILES include/floydattn_cuda.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()

install(EXPORT floydattnTargets NAMESPACE floydattn:: DESTINATION ${package_dir})
configure_package_config_file(cmake/floydattnConfig.cmake.in ${PROJECT_BINARY_DIR}/floydattnConfig.cmake
  INSTALL_DESTINATION ${package_dir} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/floydattnConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/floydattnConfig.cmake ${PROJECT_BINARY_DIR}/floydattnConfigVersion.cmake
  DESTINATION ${package_dir})

relative_dir(pc_to_prefix ${CMAKE_INSTALL_LIBDIR}/pkgconfig .)
relative_dir(pc_to_lib ${CMAKE_INSTALL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_LIBDIR})
relative_dir(pc_to_include ${CMAKE_INSTALL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_INCLUDEDIR})
set(packages floydattn)
if(TARGET floydattn_cuda)
  list(APPEND packages floydattn_cuda)
endif()
foreach(package ${packages})
  configure_file(cmake/${package}.pc.in ${PROJECT_BINARY_DIR}/${package}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${package}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()

# ---- The vendor's surface, fit to be an ASCEND_HOME_PATH --------------------------------------------

# Each of these names is the one library. It finds libfloydattn.so by its own way up, so that a program
# needs one -L and one -rpath.
if(TARGET floydattn_acl)
  relative_dir(cann_to_lib ${cann_dir}/lib64 ${CMAKE_INSTALL_LIBDIR})
  set_target_properties(floydattn_acl PROPERTIES INSTALL_RPATH "$ORIGIN/${cann_to_lib}")
  install(TARGETS floydattn_acl LIBRARY DESTINATION ${cann_dir}/lib64)
  install(DIRECTORY include/cann/ DESTINATION ${cann_dir}/include FILES_MATCHING PATTERN "*.h")
  foreach(name ascendcl acl_rt nnopbase opapi opapi_math opapi_transformer cust_opapi)
    set(link ${PROJECT_BINARY_DIR}/cann/lib${name}.so)
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/cann)
    file(CREATE_LINK libfloydattn_acl.so ${link} SYMBOLIC)
    install(FILES ${link} DESTINATION ${cann_dir}/lib64)
  endforeach()
endif()

# ---- The way back ----------------------------------------------------------------------------------

# Its other half is in CMakeLists.txt, before the first file that is installed.
add_custom_target(uninstall
  COMMAND ${CMAKE_COMMAND} -D BUILD_DIR=${PROJECT_BINARY_DIR} -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake
  COMMENT "Removing what the last install laid out" VERBATIM)
