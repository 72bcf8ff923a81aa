# SPDX-License-Identifier: Apache-2.0
# The sources of libfloydattn_cuda besides src/problem, for src/cuda and for the tests, which build the same ones for
# the host.
set(FLOYDATTN_CUDA_SOURCES "")
foreach(source api.c choose.c job.c ../run/fpenv.c enqueue.cu mma.cu rows.cu simt.cu)
  cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${CMAKE_CURRENT_LIST_DIR} NORMALIZE)
  list(APPEND FLOYDATTN_CUDA_SOURCES ${source})
endforeach()
