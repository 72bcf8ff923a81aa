# SPDX-License-Identifier: Apache-2.0
"""The benchmark that `./run bench` runs: the operator against the processor's peak and beside its peers."""
