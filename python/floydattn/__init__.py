# SPDX-License-Identifier: Apache-2.0
"""
Floyd (pivotal) attention, forward and gradient, without buffers of size N*M*K.

floydattn.numpy has the operator on NumPy arrays. The mathematics, the shapes and every promise stand in floydattn.h:

    S[n,m,k] = scale * (q[n,m] . k1[n,k] + q[n,m] . k2[k,m])      (masked positions: replaced by -FLT_MAX)
    y[n,m]   = sum over k of softmax(S)[n,m,k] * (v1[n,k] + v2[k,m])
"""

from . import numpy
from ._native import library_path, version

__version__ = version()
__all__ = ["library_path", "numpy", "version"]
