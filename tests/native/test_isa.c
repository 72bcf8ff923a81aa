/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FLOYDATTN_ISA is read once a process, so each choice runs in a process of its own: this program again,
 * with an argument. Every kernel that uses fused multiply-add must print the same hash.
 */
#define _POSIX_C_SOURCE 200809L
#include "cmocka_all.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *program;

static uint64_t hash_bytes(uint64_t hash, const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) hash = (hash ^ bytes[i]) * 0x100000001B3u;
    return hash;
}

static uint64_t hash_problem(uint64_t hash, const problem *p)
{
    for (enum role r = T_Y; r < ROLES; r++) {
        size_t bytes;
        unsigned char *packed = tensor_packed(&p->t[r].view, &bytes);
        hash = hash_bytes(hash, packed, bytes);
        free(packed);
    }
    return hash;
}

static const char *chosen_isa(void)
{
    floyd_isa isa;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++)
        if (isa.chosen) return isa.name;
    return "none";
}

/* Sizes that leave remainders for every vector width, every dtype, masks, a one-hot softmax. */
static int print_hash(void)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (int i = 0; i < 16; i++) {
        spec s = spec_of(1, 1 + i % 2, 17 + i, 19 + 2 * i, 30 + 5 * i, 1 + 5 * i);
        s.dtype = (floyd_dtype)(i % 4);
        s.mask = (enum mask_kind)(i % 6);
        s.mean = i % 5 == 4 ? 3 : 0;
        s.threads = 1 + i % 2;
        if (i % 8 == 7) s.scale = i % 16 == 7 ? 0.0 : -0.0;
        if (i % 3 == 1) add_extras(&s, EXTRAS);
        s.dbias_axes = (unsigned)i * 7 & 31;
        s.seed = (uint64_t)i;
        problem p = problem_new(&s);
        run_forward(&p);
        run_backward(&p);
        hash = hash_problem(hash, &p);
        problem_free(&p);
    }
    printf("%s %016llx\n", chosen_isa(), (unsigned long long)hash);
    return 0;
}

/* What each function says under an ISA that makes no sense. */
static int print_refusals(void)
{
    spec s = spec_of(1, 1, 2, 2, 2, 2);
    problem p = problem_new(&s);
    const floyd_forward_args forward = forward_args(&p, FORWARD_OUTPUTS);
    const floyd_backward_args backward = backward_args(&p, GRADIENTS);
    unsigned char room[64];
    size_t bytes = 0;
    floyd_isa isa;
    int ok = floyd_forward_workspace(&forward, NULL, &bytes) == FLOYD_ERROR_UNSUPPORTED;
    ok = ok && strstr(floyd_last_message(), "FLOYDATTN_ISA") && strstr(floyd_last_message(), "nonsense");
    ok = ok && floyd_backward_workspace(&backward, NULL, &bytes) == FLOYD_ERROR_UNSUPPORTED;
    ok = ok && floyd_forward(&forward, NULL, room, sizeof room) == FLOYD_ERROR_UNSUPPORTED;
    ok = ok && floyd_backward(&backward, NULL, room, sizeof room) == FLOYD_ERROR_UNSUPPORTED;
    for (enum role r = T_Y; r < ROLES; r++) ok = ok && (r == T_DY || tensor_untouched(&p.t[r]));
    ok = ok && floyd_isa_describe(0, &isa) == FLOYD_OK && !strcmp(chosen_isa(), "none");
    puts(ok ? "refused" : floyd_last_message());
    problem_free(&p);
    return 0;
}

/* The first line that this program prints with FLOYDATTN_ISA=isa. */
static void ask(const char *isa, const char *question, char *line, int size)
{
    char command[1024];
    snprintf(command, sizeof command, "exec '%s' %s", program, question);
    setenv("FLOYDATTN_ISA", isa, 1);
    FILE *pipe = popen(command, "r");
    unsetenv("FLOYDATTN_ISA");
    assert_non_null(pipe);
    if (!fgets(line, size, pipe)) line[0] = 0;
    assert_int_equal(pclose(pipe), 0);
    line[strcspn(line, "\n")] = 0;
}

static int uses_fma(const char *name)
{
    return strcmp(name, "portable") != 0;
}

static void test_same_bits(void **state)
{
    char first[128] = "", line[128];
    int compared = 0;
    floyd_isa isa;
    (void)state;
    for (int i = 0; floyd_isa_describe(i, &isa) == FLOYD_OK; i++) {
        if (!isa.supported) continue;
        ask(isa.name, "hash", line, sizeof line);
        char *space = strchr(line, ' ');
        assert_non_null(space);
        *space = 0;
        assert_string_equal(line, isa.name); /* the one asked for is the one that ran */
        if (!uses_fma(isa.name)) continue;
        if (!first[0]) strcpy(first, space + 1);
        assert_string_equal(space + 1, first);
        compared++;
    }
    print_message("%d instruction sets compared\n", compared);
    assert_true(compared > 0);
}

static void test_unknown(void **state)
{
    char line[512];
    (void)state;
    ask("nonsense", "refusals", line, sizeof line);
    assert_string_equal(line, "refused");
}

static void test_unset_and_best(void **state)
{
    floyd_isa isa;
    (void)state;
    assert_int_equal(floyd_isa_describe(0, &isa), FLOYD_OK);
    for (int i = 0; !isa.supported; i++) assert_int_equal(floyd_isa_describe(i, &isa), FLOYD_OK);
    assert_int_equal(isa.chosen, 1);
}

int main(int count, char **words)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits), cmocka_unit_test(test_unknown),
                                       cmocka_unit_test(test_unset_and_best)};
    program = words[0];
    if (count > 1) return strcmp(words[1], "hash") ? print_refusals() : print_hash();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
