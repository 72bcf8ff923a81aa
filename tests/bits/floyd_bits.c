/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bits of every output over a list of problems, to compare between processors, instruction sets and compilers.
 *
 *   floyd_bits         the kernel that runs ("isa avx2"), then a line per problem: what it is, a hash per output
 *   floyd_bits isas    the kernels that run here and use fused multiply-add: all of them give the same lines
 *
 * Operands come from integers alone, so that no mathematical library has a say in them. Outputs are poisoned
 * beforehand, and hashed as they lie in memory, gaps included.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "floydattn.h"

enum { Q, K1, V1, K2, V2, DY, MASK, Y, MAX, SUM, DQ, DK1, DV1, DK2, DV2, DBIAS, BIAS, TENSORS, OUTPUTS = Y };
static const char *const output_names[] = {"y", "max", "sum", "dq", "dk1", "dv1", "dk2", "dv2", "dbias"};

enum mask { MASK_NONE, MASK_RANDOM, MASK_PADDING, MASK_ROWS, MASKS };
static const char *const mask_names[] = {"none", "random", "padding", "rows"};

/* REVERSED has negative strides, SHARED one head for all. */
enum layout { CONTIGUOUS, GAPPED, TURNED, REVERSED, SHARED, LAYOUTS };
static const char *const layout_names[] = {"contiguous", "gapped", "turned", "reversed", "shared"};

/* TINY operands make outputs subnormal; SPECIAL ones have zeros, subnormals, and an infinity or a NaN in one place.
 */
enum values { ORDINARY, STEEP, TINY, SPECIAL, KINDS_OF_VALUES };
static const char *const values_names[] = {"ordinary", "steep", "tiny", "special"};

static const char *const dtype_names[] = {"f32", "f64", "f16", "bf16"};

typedef struct spec {
    int64_t B, H, N, M, K, D;
    int64_t copies; /* of max and sum */
    floyd_dtype dtype;
    enum mask mask;
    enum layout inputs, outputs;
    enum values values;
    floyd_mask_rule rule;
    int threads;
    int wide; /* y and the gradients in the accumulator's type */
    int carry, add;
    int extras; /* a bias and its gradient, a cap, a fill and, unless carried, dropout */
} spec;

typedef struct problem {
    spec s;
    floyd_tensor t[TENSORS];
    unsigned char *block[TENSORS];
    size_t bytes[TENSORS];
    uint64_t random;
} problem;

static void *must(void *pointer)
{
    if (pointer) return pointer;
    fputs("floyd_bits: out of memory\n", stderr);
    exit(3);
}

static void check(floyd_status status)
{
    if (status == FLOYD_OK) return;
    fprintf(stderr, "floyd_bits: %s: %s\n", floyd_status_name(status), floyd_last_message());
    exit(1);
}

static uint64_t next(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* ---- Elements, as bits --------------------------------------------------------------------------- */

typedef struct format {
    int mantissa, exponent; /* bits of each */
} format;

static const format formats[] = {
    [FLOYD_F32] = {23, 8}, [FLOYD_F64] = {52, 11}, [FLOYD_F16] = {10, 5}, [FLOYD_BF16] = {7, 8}};

/* A random sign and mantissa and one of four neighbouring exponents: magnitudes of 1/16 up to 1, or as TINY is. */
static uint64_t element_bits(format f, enum values values, uint64_t r)
{
    const uint64_t sign = (r >> 9 & 1) << (f.mantissa + f.exponent);
    if (values == SPECIAL && (r & 0xfc) == 0) return sign | (r & 1); /* zero or the least number */
    const uint64_t bias = ((uint64_t)1 << (f.exponent - 1)) - 1, step = r & 3;
    const uint64_t exponent = values == TINY ? 1 + step : values == STEEP ? bias + 1 - step : bias - 1 - step;
    const uint64_t mantissa = r >> 10 & (((uint64_t)1 << f.mantissa) - 1);
    return sign | exponent << f.mantissa | mantissa;
}

/* Infinity, NaN of two kinds or the greatest number. */
static uint64_t extreme_bits(format f, uint64_t r)
{
    const uint64_t ones = ((uint64_t)1 << f.mantissa) - 1, quiet = (uint64_t)1 << (f.mantissa - 1);
    const uint64_t infinity = (((uint64_t)1 << f.exponent) - 1) << f.mantissa;
    const uint64_t choices[] = {infinity, infinity | ones, infinity | (ones - quiet), infinity - 1};
    return (r >> 9 & 1) << (f.mantissa + f.exponent) | choices[r & 3];
}

static void store_bits(unsigned char *to, size_t size, uint64_t bits)
{
    const uint32_t four = (uint32_t)bits;
    const uint16_t two = (uint16_t)bits;
    memcpy(to, size == 8 ? (const void *)&bits : size == 4 ? (const void *)&four : (const void *)&two, size);
}

static void fill(problem *p, int which, enum values values)
{
    const floyd_dtype dtype = p->t[which].dtype;
    const size_t size = floyd_dtype_size(dtype);
    for (size_t i = 0; i < p->bytes[which]; i += size)
        store_bits(p->block[which] + i, size, element_bits(formats[dtype], values, next(&p->random)));
}

/* One operand gets one extreme element: more would leave nothing but NaN in the outputs. */
static void put_extreme(problem *p)
{
    const uint64_t r = next(&p->random);
    const int which = (int)(r % (DY + 1));
    const floyd_dtype dtype = p->t[which].dtype;
    const size_t size = floyd_dtype_size(dtype), at = next(&p->random) % (p->bytes[which] / size);
    store_bits(p->block[which] + at * size, size, extreme_bits(formats[dtype], r >> 20));
}

/* ---- Tensors ------------------------------------------------------------------------------------- */

/* Sets the strides and returns how many elements there are from the first to the last. */
static int64_t lay_out(floyd_tensor *t, enum layout layout)
{
    static const int straight[5] = {4, 3, 2, 1, 0}, turned[5] = {2, 3, 0, 4, 1}; /* the innermost axis first */
    const int *order = layout == TURNED ? turned : straight;
    int64_t extent = 1;
    for (int i = 0; i < 5; i++) {
        const int axis = order[i], once = layout == SHARED && axis < 2;
        t->stride[axis] = once ? 0 : extent;
        if (!once) extent *= t->size[axis];
        if (layout == GAPPED && i < 2) extent += 3;
    }
    return extent;
}

static void reverse(floyd_tensor *t, int axis)
{
    const int64_t first = (t->size[axis] - 1) * t->stride[axis];
    t->data = (unsigned char *)t->data + first * (int64_t)floyd_dtype_size(t->dtype);
    t->stride[axis] = -t->stride[axis];
}

/* What lies at the block's start is aligned to nothing but the element when there are gaps. */
static void make(problem *p, int which, floyd_dtype dtype, enum layout layout, const int64_t size[5])
{
    floyd_tensor *t = &p->t[which];
    *t = floyd_contiguous(NULL, dtype, size[0], size[1], size[2], size[3], size[4]);
    const size_t offset = layout == GAPPED, element = floyd_dtype_size(dtype);
    p->bytes[which] = ((size_t)lay_out(t, layout) + offset) * element;
    p->block[which] = must(malloc(p->bytes[which]));
    memset(p->block[which], 0xff, p->bytes[which]);
    t->data = p->block[which] + offset * element;
    if (layout == REVERSED) reverse(t, 2), reverse(t, 4);
}

static void make_operands(problem *p)
{
    const spec *s = &p->s;
    const int64_t nm[5] = {s->B, s->H, s->N, s->M, s->D}, nk[5] = {s->B, s->H, s->N, s->K, s->D};
    const int64_t km[5] = {s->B, s->H, s->K, s->M, s->D};
    const int64_t *const sizes[] = {[Q] = nm, [K1] = nk, [V1] = nk, [K2] = km, [V2] = km, [DY] = nm};
    for (int i = Q; i <= DY; i++) make(p, i, s->dtype, s->inputs, sizes[i]);
    for (int i = Q; i <= DY; i++)
        fill(p, i, s->values == TINY && (i == Q || i == K1 || i == K2) ? ORDINARY : s->values);
    if (s->values == SPECIAL) put_extreme(p);
}

static void make_outputs(problem *p)
{
    const spec *s = &p->s;
    const int64_t nm[5] = {s->B, s->H, s->N, s->M, s->D}, nk[5] = {s->B, s->H, s->N, s->K, s->D};
    const int64_t km[5] = {s->B, s->H, s->K, s->M, s->D}, rows[5] = {s->B, s->H, s->N, s->M, s->copies};
    const floyd_dtype accumulator = s->dtype == FLOYD_F64 ? FLOYD_F64 : FLOYD_F32;
    const int64_t *const sizes[] = {[DQ] = nm, [DK1] = nk, [DV1] = nk, [DK2] = km, [DV2] = km};
    make(p, Y, s->wide || s->carry ? accumulator : s->dtype, s->outputs, nm);
    make(p, MAX, accumulator, s->outputs, rows);
    make(p, SUM, accumulator, s->outputs, rows);
    for (int i = DQ; i <= DV2; i++) make(p, i, s->wide || s->add ? accumulator : s->dtype, s->outputs, sizes[i]);
    for (int i = DQ; i <= DV2 && s->add; i++) fill(p, i, ORDINARY);
}

static int is_masked(const spec *s, int64_t b, int64_t n, int64_t k, uint64_t r)
{
    switch (s->mask) {
    case MASK_RANDOM:
        return r % 3 == 0;
    case MASK_PADDING:
        return k >= s->K - s->K / (2 + b);
    default: /* whole rows, and a few places in the others */
        return n % 3 == 1 || r % 17 == 0;
    }
}

/* [B,1,N,M or 1,K] */
static void make_mask(problem *p)
{
    const spec *s = &p->s;
    if (s->mask == MASK_NONE) return;
    const int64_t size[5] = {s->B, 1, s->N, s->mask == MASK_RANDOM ? s->M : 1, s->K};
    make(p, MASK, FLOYD_U8, CONTIGUOUS, size);
    unsigned char *to = p->block[MASK];
    for (int64_t b = 0; b < size[0]; b++)
        for (int64_t n = 0; n < size[2]; n++)
            for (int64_t i = 0; i < size[3] * size[4]; i++)
                *to++ = (unsigned char)is_masked(s, b, n, i % size[4], next(&p->random) >> 8);
}

/* A bias that is the same for all heads, and its gradient: summed over heads, over rows too, or over batches alone.
 */
static void make_bias(problem *p, int index)
{
    const spec *s = &p->s;
    if (!s->extras) return;
    const int64_t rows = index % 3 == 1 ? 1 : s->N, columns = index % 3 == 2 ? s->M : 1;
    const int64_t size[5] = {s->B, 1, s->N, s->M, s->K}, sum[5] = {1, s->H, rows, columns, s->K};
    make(p, BIAS, s->dtype, s->inputs == SHARED ? CONTIGUOUS : s->inputs, size);
    fill(p, BIAS, ORDINARY);
    make(p, DBIAS, s->dtype == FLOYD_F64 ? FLOYD_F64 : FLOYD_F32, s->outputs, sum);
    if (s->add) fill(p, DBIAS, ORDINARY);
}

/* What forward and backward have alike. */
#define ASK_EXTRAS(a, p)                                                                                           \
    ((a).bias = &(p)->t[BIAS], (a).softmax_cap = 1.5, (a).mask_fill = -3, (a).dropout = (p)->s.carry ? 0 : 0.3,    \
     (a).seed = 0x123456789abcdefu)

/* ---- Runs ---------------------------------------------------------------------------------------- */

static double scale_of(const spec *s)
{
    return s->values == STEEP ? 1.7 : s->D > 32 ? 0.1 : 0.3;
}

static void forward(problem *p)
{
    floyd_forward_args a = FLOYD_FORWARD_ARGS_INIT;
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = p->s.threads;
    a.scale = scale_of(&p->s);
    a.q = &p->t[Q], a.k1 = &p->t[K1], a.v1 = &p->t[V1], a.k2 = &p->t[K2], a.v2 = &p->t[V2];
    a.mask = p->block[MASK] ? &p->t[MASK] : NULL;
    a.y = &p->t[Y], a.max = &p->t[MAX], a.sum = &p->t[SUM];
    a.carry = p->s.carry;
    if (p->s.extras) ASK_EXTRAS(a, p);
    size_t bytes;
    check(floyd_forward_workspace(&a, &options, &bytes));
    void *workspace = must(malloc(bytes + 1));
    memset(workspace, 0xff, bytes);
    check(floyd_forward(&a, &options, workspace, bytes));
    free(workspace);
}

/* From the empty state over some pivots, then over others. */
static void forward_carried(problem *p)
{
    memset(p->block[MAX], 0, p->bytes[MAX]);
    memset(p->block[SUM], 0, p->bytes[SUM]);
    forward(p);
    for (int i = K1; i <= V2; i++) fill(p, i, p->s.values == TINY ? ORDINARY : p->s.values);
    forward(p);
}

static void backward(problem *p)
{
    floyd_backward_args a = FLOYD_BACKWARD_ARGS_INIT;
    floyd_options options = FLOYD_OPTIONS_INIT;
    options.threads = p->s.threads;
    a.scale = scale_of(&p->s);
    a.q = &p->t[Q], a.k1 = &p->t[K1], a.v1 = &p->t[V1], a.k2 = &p->t[K2], a.v2 = &p->t[V2];
    a.mask = p->block[MASK] ? &p->t[MASK] : NULL;
    a.mask_rule = p->s.rule;
    a.y = &p->t[Y], a.max = &p->t[MAX], a.sum = &p->t[SUM], a.dy = &p->t[DY];
    a.dq = &p->t[DQ], a.dk1 = &p->t[DK1], a.dv1 = &p->t[DV1], a.dk2 = &p->t[DK2], a.dv2 = &p->t[DV2];
    a.add = p->s.add;
    if (p->s.extras) ASK_EXTRAS(a, p), a.dbias = &p->t[DBIAS];
    size_t bytes;
    check(floyd_backward_workspace(&a, &options, &bytes));
    void *workspace = must(malloc(bytes + 1));
    memset(workspace, 0xff, bytes);
    check(floyd_backward(&a, &options, workspace, bytes));
    free(workspace);
}

/* FNV-1a */
static uint64_t hash(const unsigned char *bytes, size_t count)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++) h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

static void print_spec(int index, const spec *s)
{
    printf("%03d %s %dx%dx%dx%dx%dx%d", index, dtype_names[s->dtype], (int)s->B, (int)s->H, (int)s->N, (int)s->M,
           (int)s->K, (int)s->D);
    printf(" mask=%s/%s in=%s out=%s values=%s threads=%d%s%s%s%s :", mask_names[s->mask],
           s->rule == FLOYD_MASK_REPLACE ? "replace" : "zero", layout_names[s->inputs], layout_names[s->outputs],
           values_names[s->values], s->threads, s->wide ? " wide" : "", s->carry ? " carry" : "",
           s->add ? " add" : "", s->extras ? " extras" : "");
}

static void run(int index, const spec *s)
{
    problem p = {.s = *s, .random = (uint64_t)index};
    make_operands(&p);
    make_mask(&p);
    make_outputs(&p);
    make_bias(&p, index);
    if (s->carry)
        forward_carried(&p);
    else
        forward(&p);
    backward(&p);
    print_spec(index, s);
    for (int i = OUTPUTS; i < (s->extras ? BIAS : DBIAS); i++)
        printf(" %s=%016llx", output_names[i - OUTPUTS], (unsigned long long)hash(p.block[i], p.bytes[i]));
    putchar('\n');
    fflush(stdout);
    for (int i = 0; i < TENSORS; i++) free(p.block[i]);
}

/* ---- The list ------------------------------------------------------------------------------------ */

/* Sizes that are worth their time, beside the mixed ones: several tiles on every axis, and long heads. */
static const int64_t large[][4] = {{65, 64, 100, 16},  {33, 100, 65, 64}, {100, 33, 48, 65}, {64, 65, 33, 128},
                                   {48, 100, 24, 130}, {100, 65, 64, 32}, {32, 32, 100, 48}, {65, 33, 65, 130}};
enum { LARGE = sizeof large / sizeof *large, MIXED = 200, EXTRAS = 60, MOST_WORK = 1000000 };

static int64_t pick(uint64_t *random, int64_t count)
{
    return (int64_t)((next(random) >> 16) % (uint64_t)count);
}

static void choose_shape(spec *s, int index, uint64_t *random)
{
    static const int64_t sizes[] = {1, 5, 16, 24, 31, 32, 33, 48, 64, 65, 100};
    static const int64_t depths[] = {1, 3, 8, 16, 32, 48, 64, 65, 128, 130};
    const int64_t *z = large[index % LARGE];
    if (index < LARGE) {
        s->B = s->H = 1, s->N = z[0], s->M = z[1], s->K = z[2], s->D = z[3];
        return;
    }
    do {
        s->B = 1 + pick(random, 2), s->H = 1 + pick(random, 2);
        s->N = sizes[pick(random, 11)], s->M = sizes[pick(random, 11)], s->K = sizes[pick(random, 11)];
        s->D = depths[pick(random, 10)];
    } while (s->B * s->H * s->N * s->M * s->K * s->D > MOST_WORK);
}

static spec choose(int index)
{
    uint64_t random = (uint64_t)index << 32;
    spec s = {.dtype = (floyd_dtype)(index % 4)};
    choose_shape(&s, index, &random);
    s.copies = pick(&random, 3) ? 1 : 8;
    s.mask = (enum mask)pick(&random, MASKS);
    s.inputs = (enum layout)pick(&random, LAYOUTS);
    s.outputs = (enum layout)pick(&random, SHARED);
    s.values = (enum values)pick(&random, KINDS_OF_VALUES);
    s.rule = pick(&random, 2) ? FLOYD_MASK_ZERO_GRAD : FLOYD_MASK_REPLACE;
    s.threads = pick(&random, 2) ? 3 : 1;
    s.wide = pick(&random, 4) == 0;
    s.carry = pick(&random, 5) == 0;
    s.add = pick(&random, 5) == 0;
    s.extras = index >= LARGE + MIXED;
    return s;
}

/* See floydattn.h: the x86-64 baseline has no fused multiply-add. */
static int fuses(const floyd_isa *isa)
{
#if defined(__x86_64__)
    return strcmp(isa->name, "portable") != 0;
#else
    return isa->name[0] != 0;
#endif
}

static int print_isas(void)
{
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        if (isa.supported && fuses(&isa)) puts(isa.name);
    return 0;
}

static void print_chosen(void)
{
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        if (isa.chosen) printf("isa %s\n", isa.name);
}

int main(int count, char **words)
{
    if (count == 2 && strcmp(words[1], "isas") == 0) return print_isas();
    if (count > 1) return fputs("usage: floyd_bits [isas]\n", stderr), 2;
    print_chosen();
    for (int i = 0; i < LARGE + MIXED + EXTRAS; i++) {
        const spec s = choose(i);
        run(i, &s);
    }
    return 0;
}
