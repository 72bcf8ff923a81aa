# SPDX-License-Identifier: Apache-2.0
# Removes what the last `cmake --install` of BUILD_DIR laid out, and each directory that it made and that is empty then.
# Directories that were there before stay, empty or not.
if(NOT EXISTS ${BUILD_DIR}/install_manifest.txt OR NOT EXISTS ${BUILD_DIR}/install_directories.txt)
  message(FATAL_ERROR "Nothing was installed from ${BUILD_DIR}")
endif()
file(STRINGS ${BUILD_DIR}/install_manifest.txt files)
file(STRINGS ${BUILD_DIR}/install_directories.txt noted) # by note_directories.cmake
list(POP_FRONT noted)

# Below one of those that the install made, or one of them.
function(is_ours variable directory)
  set(${variable} FALSE PARENT_SCOPE)
  foreach(made IN LISTS noted)
    cmake_path(IS_PREFIX made ${directory} below)
    if(below)
      set(${variable} TRUE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

set(directories "")
foreach(file IN LISTS files)
  set(path "$ENV{DESTDIR}${file}")
  if(EXISTS ${path} OR IS_SYMLINK ${path})
    message(STATUS "Removing ${path}")
    file(REMOVE ${path})
  endif()
  cmake_path(GET file PARENT_PATH directory)
  is_ours(ours ${directory})
  while(ours)
    list(APPEND directories ${directory})
    cmake_path(GET directory PARENT_PATH directory)
    is_ours(ours ${directory})
  endwhile()
endforeach()

# The deepest come first: a path sorts before those that it is the beginning of.
list(REMOVE_DUPLICATES directories)
list(SORT directories ORDER DESCENDING)
foreach(directory IN LISTS directories)
  execute_process(COMMAND rmdir -- "$ENV{DESTDIR}${directory}" ERROR_QUIET) # refuses what is not empty
endforeach()
file(REMOVE ${BUILD_DIR}/install_manifest.txt ${BUILD_DIR}/install_directories.txt)
