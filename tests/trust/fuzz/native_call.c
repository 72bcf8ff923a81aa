/* SPDX-License-Identifier: Apache-2.0 */
#include "native_call.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

static const char *const axes_of[ROLES] = {"BHNMD", "BHNKD", "BHNKD", "BHKMD", "BHKMD", "BHNMK",
                                           "BHNMD", "BHNMR", "BHNMR", "BHNMD", "BHNMD", "BHNKD",
                                           "BHNKD", "BHKMD", "BHKMD", "BHNMK", "BHNMK"};

bool is_output(const call *c, role r)
{
    return c->backward ? (r >= DQ && r <= DV2) || r == DBIAS : r >= Y && r <= SUM;
}

bool is_broadcast(role r)
{
    return r == MASK || r == BIAS || r == DBIAS;
}

static bool takes_part(const call *c, role r)
{
    return c->backward || r <= SUM || r == BIAS;
}

static bool may_be_absent(const call *c, role r)
{
    return is_broadcast(r) || (c->backward ? r >= DQ && r <= DV2 : r == MAX || r == SUM);
}

int64_t expected_size(const call *c, role r, int axis)
{
    switch (axes_of[r][axis]) {
    case 'B':
        return c->B;
    case 'H':
        return c->H;
    case 'N':
        return c->N;
    case 'M':
        return c->M;
    case 'K':
        return c->K;
    case 'D':
        return c->D;
    default:
        return -1;
    }
}

/* ---- one tensor ---------------------------------------------------------------------------------------------- */

static floyd_dtype make_dtype(const call *c, role r, input *in)
{
    const floyd_dtype accumulator = c->dtype == FLOYD_F64 ? FLOYD_F64 : FLOYD_F32;
    const uint8_t choice = in_byte(in);
    if (choice >= 0xf8) return (floyd_dtype)in_number(in);
    if (r == MASK) return FLOYD_U8;
    if (r == MAX || r == SUM || r == DBIAS) return accumulator;
    return r > V2 && choice & 1 ? accumulator : c->dtype;
}

static void make_sizes(const call *c, role r, input *in, int64_t size[5])
{
    const uint8_t ones = is_broadcast(r) ? in_byte(in) : 0;
    for (int a = 0; a < 5; a++) {
        size[a] = expected_size(c, r, a);
        if (size[a] < 0 && axes_of[r][a] == 'R') size[a] = 1 + (int64_t)in_below(in, 3);
        if (ones >> a & 1) size[a] = 1;
    }
    if (in_byte(in) >= 0xfa) size[in_below(in, 5)] = in_number(in);
}

/* The stride behind an axis; what does not fit is no matter, the library must see that. */
static int64_t behind(int64_t step, int64_t size)
{
    return (int64_t)((uint64_t)step * (uint64_t)(size > 1 ? size : 1));
}

static void make_strides(floyd_tensor *t, input *in)
{
    static const int orders[4][5] = {{0, 1, 2, 3, 4}, {0, 2, 3, 1, 4}, {4, 3, 2, 1, 0}, {1, 0, 4, 2, 3}};
    const uint8_t how = in_byte(in);
    const int *order = orders[how & 3];
    const uint8_t gaps = how & 4 ? in_byte(in) : 0, reversed = how & 8 ? in_byte(in) : 0;
    int64_t step = 1;
    for (int i = 4; i >= 0; i--) {
        const int a = order[i];
        step = (int64_t)((uint64_t)step + (gaps >> a & 1));
        t->stride[a] = reversed >> a & 1 ? (int64_t)(0 - (uint64_t)step) : step;
        step = behind(step, t->size[a]);
    }
    if ((how & 0x70) == 0x10) t->stride[in_below(in, 5)] = 0;
    if ((how & 0xf0) == 0xf0) t->stride[in_below(in, 5)] = in_number(in);
}

/* The bytes before and behind the first element, by arithmetic that cannot overflow; false when 64 bits are not
 * enough. */
static bool reach_of(const floyd_tensor *t, __int128 *low, __int128 *high)
{
    const __int128 width = (__int128)floyd_dtype_size(t->dtype), most = INT64_MAX;
    __int128 count = width;
    *low = *high = 0;
    for (int a = 0; a < 5; a++)
        if (t->size[a] <= 0) return true;
    for (int a = 0; a < 5; a++) {
        const __int128 reach = (__int128)(t->size[a] - 1) * t->stride[a];
        if (count > most || reach > most || reach < -most) return false;
        count *= t->size[a];
        *(reach < 0 ? low : high) += reach;
    }
    *low *= width;
    *high = (*high + 1) * width;
    return count <= most && *high <= most && *low >= -most - 1;
}

/* Tensors are small, but some lie in the memory of an earlier one, or nowhere. */
static void place(call *c, role r, input *in)
{
    enum { LIMIT = 1 << 18 };
    __int128 low, high;
    floyd_tensor *t = &c->tensor[r];
    const bool fits = reach_of(t, &low, &high);
    const uint8_t choice = in_byte(in);
    c->home[r] = -1;
    c->overflowing |= (unsigned)!fits << r;
    const bool near = fits && high - low <= LIMIT;
    c->far |= (unsigned)!near << r;
    if (choice >= 0xfc) return; /* NULL */
    if (choice >= 0xe0) {
        const role other = (role)in_below(in, ROLES);
        const size_t offset = (size_t)in_byte(in) * floyd_dtype_size(t->dtype);
        if (near && other < r && c->home[other] == (int)other &&
            (__int128)offset + high - low <= c->blocks[other].bytes) {
            c->home[r] = (int)other;
            t->data = c->blocks[other].data + offset - (int64_t)low;
            return;
        }
    }
    block *b = &c->blocks[r];
    b->bytes = near ? (size_t)(high - low) : 16;
    c->home[r] = (int)r;
    b->data = malloc(b->bytes ? b->bytes : 1);
    b->before = malloc(b->bytes ? b->bytes : 1);
    b->owned = calloc(b->bytes ? b->bytes : 1, 1);
    t->data = b->data - (near ? (int64_t)low : 0);
}

/* ---- data ---------------------------------------------------------------------------------------------------- */

static void fill(const call *c, block *b, role r, uint32_t seed)
{
    const bool wild = seed % 8 == 7;
    uint32_t state = seed * 2654435761u + (uint32_t)r;
    for (size_t i = 0; i < b->bytes; i++) {
        state = state * 1664525u + 1013904223u;
        b->data[i] = r == MASK ? state >> 24 < 50 + seed / 2 : (unsigned char)(state >> 24);
    }
    /* Exponents that make ordinary numbers of it, unless any bits are to be met. */
    const size_t width = floyd_dtype_size(c->tensor[r].dtype);
    for (size_t i = width; !wild && width > 1 && i <= b->bytes; i += width)
        b->data[i - 1] = (unsigned char)((b->data[i - 1] & 0x80) | (width == 8 ? 0x3f : width == 4 ? 0x3e : 0x38));
    memcpy(b->before, b->data, b->bytes);
}

/* ---- numbers and options ------------------------------------------------------------------------------------- */

static double make_double(input *in, double plain)
{
    static const double values[] = {1,     0.125,  0,     -1,      0.5,  2,     30,  1e-3,
                                    1e300, -1e300, 1e-40, DBL_MIN, -1e4, 0.999, -0.0};
    const uint8_t choice = in_byte(in);
    if (choice < 0x80) return plain;
    if (choice < 0xc0) return values[choice % (sizeof values / sizeof *values)];
    return choice < 0xd0   ? (double)NAN
           : choice < 0xe0 ? (double)INFINITY
           : choice < 0xf0 ? -(double)INFINITY
                           : plain;
}

static int on_progress(void *user, int64_t done, int64_t total)
{
    call *c = user;
    MUST(done >= c->told && done <= total && total > 0);
    c->told = done;
    return c->progress_left-- == 0;
}

/* As many calls as a runtime might make: none, fewer than asked for, and more. */
static unsigned guests;
static void run_guests(void (*body)(void *), void *data, unsigned threads, unsigned flags)
{
    MUST(flags == 0 && threads > 1);
    for (unsigned i = 0; i < guests; i++) body(data);
}

static void make_options(call *c, input *in)
{
    const floyd_options plain = FLOYD_OPTIONS_INIT;
    const uint8_t choice = in_byte(in);
    c->options = plain;
    c->has_options = choice != 0;
    c->progress_left = -1;
    if (choice & 1) c->options.threads = 1 + (int)in_below(in, 8);
    if (choice & 2) {
        c->options.progress = on_progress;
        c->options.progress_user = c;
        if (choice & 4) c->progress_left = (int)in_below(in, 4);
    }
    if ((choice & 24) == 24) {
        c->options.parallel = run_guests;
        guests = in_below(in, 6);
    }
    if (choice >= 0xf0) c->options.threads = (int)in_number(in);
    if (choice >= 0xf8) c->options.struct_size = (size_t)in_number(in);
}

/* ---- the arguments' structure -------------------------------------------------------------------------------- */

static floyd_forward_args forward_args(const call *c, input *in)
{
    floyd_forward_args args = FLOYD_FORWARD_ARGS_INIT;
    const floyd_tensor **slots[] = {&args.q,    &args.k1, &args.v1,  &args.k2, &args.v2,
                                    &args.mask, &args.y,  &args.max, &args.sum};
    for (int r = Q; r <= SUM; r++) *slots[r] = c->has[r] ? &c->tensor[r] : NULL;
    args.bias = c->has[BIAS] ? &c->tensor[BIAS] : NULL;
    args.carry = in_rarely(in);
    args.scale = make_double(in, 0.25);
    args.softmax_cap = make_double(in, 0);
    args.mask_fill = make_double(in, 0);
    args.dropout = make_double(in, 0);
    args.seed = in_word(in, 2);
    return args;
}

static floyd_backward_args backward_args(const call *c, input *in)
{
    floyd_backward_args args = FLOYD_BACKWARD_ARGS_INIT;
    const floyd_tensor **slots[] = {&args.q,   &args.k1,  &args.v1,  &args.k2,   &args.v2,   &args.mask,
                                    &args.y,   &args.max, &args.sum, &args.dy,   &args.dq,   &args.dk1,
                                    &args.dv1, &args.dk2, &args.dv2, &args.bias, &args.dbias};
    for (int r = Q; r < ROLES; r++) *slots[r] = c->has[r] ? &c->tensor[r] : NULL;
    args.add = in_rarely(in);
    args.scale = make_double(in, 0.25);
    args.softmax_cap = make_double(in, 0);
    args.mask_fill = make_double(in, 0);
    args.dropout = make_double(in, 0);
    args.seed = in_word(in, 2);
    const uint8_t rule = in_byte(in);
    args.mask_rule = rule >= 0xf0 ? (floyd_mask_rule)in_number(in) : (floyd_mask_rule)(rule & 1);
    return args;
}

/*
 * As long as struct_size says, and no longer: what a call may look at. A size outside the range that any version
 * has entitles it to that member alone.
 */
static void make_args(call *c, const void *whole, size_t size, size_t oldest, input *in)
{
    const uint8_t choice = in_byte(in);
    size_t said = size;
    if (choice >= 0xf0) said = (size_t)in_number(in);
    if (choice >= 0xe0 && choice < 0xf0) said = oldest + 8 * (size_t)(choice & 15);
    const size_t bytes = said < oldest || said > 4096 ? sizeof said : said;
    c->args = calloc(1, bytes);
    memcpy(c->args, whole, bytes < size ? bytes : size);
    memcpy(c->args, &said, sizeof said);
    if (bytes > size && in_rarely(in)) ((unsigned char *)c->args)[size + in_byte(in) % (bytes - size)] = 1;
}

/* A tensor whose place in the structure struct_size leaves out is not there for the library. */
static void leave_out(call *c, role r, size_t place)
{
    size_t said;
    memcpy(&said, c->args, sizeof said);
    if (said >= place + sizeof(void *)) return;
    c->has[r] = false;
    c->overflowing &= ~(1u << r);
    c->far &= ~(1u << r);
}

static int64_t make_size(input *in)
{
    static const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 24, 25, 33, 49, 64, 0};
    const uint8_t choice = in_byte(in);
    return choice < 0xf8 ? sizes[choice % 16] : in_number(in);
}

void call_make(call *c, input *in)
{
    memset(c, 0, sizeof *c);
    const uint8_t kind = in_byte(in);
    c->backward = kind & 1;
    c->dtype = kind >= 0xf8 ? (floyd_dtype)in_number(in) : (floyd_dtype)(kind >> 1 & 3);
    int64_t *const sizes[] = {&c->B, &c->H, &c->N, &c->M, &c->K, &c->D};
    for (int i = 0; i < 6; i++) *sizes[i] = i < 2 ? 1 + (int64_t)in_below(in, 3) : make_size(in);
    if (in_rarely(in)) c->B = in_number(in), c->H = in_number(in);
    make_options(c, in);
    const unsigned absent = (unsigned)in_word(in, 3);
    for (int r = Q; r < ROLES; r++) {
        floyd_tensor *t = &c->tensor[r];
        c->home[r] = -1;
        c->has[r] =
            takes_part(c, (role)r) && !(absent >> r & 1 && (may_be_absent(c, (role)r) || absent >> 20 == 15));
        if (!c->has[r]) continue;
        t->dtype = make_dtype(c, (role)r, in);
        make_sizes(c, (role)r, in, t->size);
        make_strides(t, in);
        place(c, (role)r, in);
        if (c->home[r] == r) fill(c, &c->blocks[r], (role)r, in_byte(in));
    }
    if (c->backward) {
        const floyd_backward_args args = backward_args(c, in);
        make_args(c, &args, sizeof args, offsetof(floyd_backward_args, bias), in);
        leave_out(c, BIAS, offsetof(floyd_backward_args, bias));
        leave_out(c, DBIAS, offsetof(floyd_backward_args, dbias));
    } else {
        const floyd_forward_args args = forward_args(c, in);
        make_args(c, &args, sizeof args, offsetof(floyd_forward_args, bias), in);
        leave_out(c, BIAS, offsetof(floyd_forward_args, bias));
    }
}

void call_free(call *c)
{
    free(c->args);
    for (int r = Q; r < ROLES; r++) {
        free(c->blocks[r].data);
        free(c->blocks[r].before);
        free(c->blocks[r].owned);
    }
}

/* ---- what a success means ------------------------------------------------------------------------------------ */

/* Calls visit for every element's first byte, counted from its block's; stops when that returns false. */
static bool each_element(call *c, role r, bool (*visit)(block *, size_t, size_t))
{
    const floyd_tensor *t = &c->tensor[r];
    const size_t width = floyd_dtype_size(t->dtype);
    int64_t i[5] = {0};
    for (int a = 0; a < 5; a++)
        if (t->size[a] <= 0) return true;
    if (c->home[r] < 0) return true;
    block *b = &c->blocks[c->home[r]];
    for (;;) {
        int64_t at = 0;
        for (int a = 0; a < 5; a++) at += i[a] * t->stride[a];
        if (!visit(b, (size_t)((unsigned char *)t->data + at * (int64_t)width - b->data), width)) return false;
        int a = 4;
        while (a >= 0 && ++i[a] == t->size[a]) i[a--] = 0;
        if (a < 0) return true;
    }
}

static bool claim(block *b, size_t at, size_t width)
{
    for (size_t i = at; i < at + width; i++)
        if (b->owned[i]++) return false;
    return true;
}

static bool is_nobodys(block *b, size_t at, size_t width)
{
    for (size_t i = at; i < at + width; i++)
        if (b->owned[i]) return false;
    return true;
}

bool outputs_apart(call *c)
{
    for (int r = Q; r < ROLES; r++)
        if (c->has[r] && is_output(c, (role)r) && !each_element(c, (role)r, claim)) return false;
    for (int r = Q; r < ROLES; r++)
        if (c->has[r] && !is_output(c, (role)r) && !each_element(c, (role)r, is_nobodys)) return false;
    return true;
}

/* ---- calls --------------------------------------------------------------------------------------------------- */

floyd_status call_query(const call *c, size_t *bytes)
{
    const floyd_options *options = c->has_options ? &c->options : NULL;
    return c->backward ? floyd_backward_workspace(c->args, options, bytes)
                       : floyd_forward_workspace(c->args, options, bytes);
}

floyd_status call_run(call *c, void *workspace, size_t bytes)
{
    const floyd_options *options = c->has_options ? &c->options : NULL;
    c->told = 0;
    return c->backward ? floyd_backward(c->args, options, workspace, bytes)
                       : floyd_forward(c->args, options, workspace, bytes);
}
