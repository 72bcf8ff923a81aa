// SPDX-License-Identifier: Apache-2.0
// The same text serves C++.
#include "program.c"
