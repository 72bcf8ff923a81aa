# SPDX-License-Identifier: Apache-2.0
# Removes what the last `cmake --install` of BUILD_DIR laid out, and each directory of its prefix that is empty then.
# In a prefix of the system's only directories that bear our name go: the others were there before.
if(NOT EXISTS ${BUILD_DIR}/install_manifest.txt OR NOT EXISTS ${BUILD_DIR}/install_prefix.txt)
  message(FATAL_ERROR "Nothing was installed from ${BUILD_DIR}")
endif()
file(READ ${BUILD_DIR}/install_prefix.txt prefix)
file(STRINGS ${BUILD_DIR}/install_manifest.txt files)

set(directories "")
foreach(file IN LISTS files)
  set(path "$ENV{DESTDIR}${file}")
  if(EXISTS ${path} OR IS_SYMLINK ${path})
    message(STATUS "Removing ${path}")
    file(REMOVE ${path})
  endif()
  cmake_path(GET file PARENT_PATH directory)
  while(NOT directory STREQUAL prefix AND NOT directory STREQUAL "/")
    list(APPEND directories ${directory})
    cmake_path(GET directory PARENT_PATH directory)
  endwhile()
endforeach()

# The deepest come first: a path sorts before those that it is the beginning of.
list(APPEND directories ${prefix})
list(REMOVE_DUPLICATES directories)
list(SORT directories ORDER DESCENDING)
foreach(directory IN LISTS directories)
  set(path "$ENV{DESTDIR}${directory}")
  if(IS_DIRECTORY ${path} AND (directory MATCHES "floydattn" OR NOT prefix MATCHES "^/(usr(/.*)?|opt)?$"))
    execute_process(COMMAND rmdir -- ${path} ERROR_QUIET) # refuses what is not empty
  endif()
endforeach()
file(REMOVE ${BUILD_DIR}/install_manifest.txt ${BUILD_DIR}/install_prefix.txt)
