/* SPDX-License-Identifier: Apache-2.0 */
#include "floydattn.h"
const char *floyd_status_name(floyd_status s) { (void)s; return "?"; }
const char *floyd_last_message(void) { return "the core is being built"; }
const char *floyd_version(void) { return "0.1.0"; }
size_t floyd_dtype_size(floyd_dtype d) { return d == FLOYD_F32 ? 4 : d == FLOYD_F64 ? 8 : d == FLOYD_U8 ? 1 : 2; }
int floyd_default_threads(void) { return 1; }
floyd_tensor floyd_contiguous(void *data, floyd_dtype t, int64_t a, int64_t b, int64_t c, int64_t d, int64_t e)
{ floyd_tensor x = {data, t, {a, b, c, d, e}, {b * c * d * e, c * d * e, d * e, e, 1}}; return x; }
floyd_status floyd_forward_workspace(const floyd_forward_args *a, const floyd_options *o, size_t *b) { (void)a;(void)o;(void)b; return FLOYD_ERROR_UNSUPPORTED; }
floyd_status floyd_forward(const floyd_forward_args *a, const floyd_options *o, void *w, size_t b) { (void)a;(void)o;(void)w;(void)b; return FLOYD_ERROR_UNSUPPORTED; }
floyd_status floyd_backward_workspace(const floyd_backward_args *a, const floyd_options *o, size_t *b) { (void)a;(void)o;(void)b; return FLOYD_ERROR_UNSUPPORTED; }
floyd_status floyd_backward(const floyd_backward_args *a, const floyd_options *o, void *w, size_t b) { (void)a;(void)o;(void)w;(void)b; return FLOYD_ERROR_UNSUPPORTED; }
floyd_status floyd_isa_describe(int i, floyd_isa *s) { (void)i;(void)s; return FLOYD_ERROR_OPTION; }
