# SPDX-License-Identifier: Apache-2.0
"""The CUDA back end: is it right, how fast is it, and how fast are others on the same card. `python -m floyd_bench_gpu`."""
