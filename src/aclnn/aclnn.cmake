# SPDX-License-Identifier: Apache-2.0
# The sources of the operators' surface, for the target that src/acl makes.
set(FLOYDATTN_ACLNN_SOURCES)
foreach(source base check_shapes check_types executor forward gradient layout new_array phases tensor)
  list(APPEND FLOYDATTN_ACLNN_SOURCES ${CMAKE_CURRENT_LIST_DIR}/${source}.c)
endforeach()
