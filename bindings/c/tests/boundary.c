/*
 * Tests of the border between C and Rust: results on every instruction set, pointers, sizes,
 * options, handles, messages and threads. `bindings/c/test` runs it, also under valgrind.
 */
#include "check.h"
#include <pthread.h>

#define REAL float
#define F(name) name##_f32
#define OTHER(name) name##_f64
#define TOLERANCE 1e-6
#include "each_type.h"
#include "sparse_transport.h"
#undef REAL
#undef F
#undef OTHER
#undef TOLERANCE

#define REAL double
#define F(name) name##_f64
#define OTHER(name) name##_f32
#define TOLERANCE 1e-14
#include "each_type.h"
#include "sparse_transport.h"

static void names(void)
{
    mantex_isa isa = (mantex_isa)-1;
    CHECK(strcmp(mantex_last_error(), "") == 0); /* The first test of the thread. */
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", MANTEX_VERSION_MAJOR, MANTEX_VERSION_MINOR, MANTEX_VERSION_PATCH);
    CHECK(strcmp(mantex_version(), version) == 0);
    CHECK(strcmp(mantex_status_name(MANTEX_OK), "MANTEX_OK") == 0);
    CHECK(strcmp(mantex_status_name(MANTEX_ERROR_INTERNAL), "MANTEX_ERROR_INTERNAL") == 0);
    CHECK(strcmp(mantex_status_name((mantex_status)-1), "unknown status") == 0);
    CHECK(strcmp(mantex_status_name((mantex_status)16), "unknown status") == 0);
    CHECK(strcmp(mantex_isa_name(MANTEX_ISA_SCALAR), "scalar") == 0);
    CHECK(mantex_isa_name((mantex_isa)9) == NULL);
    CHECK(mantex_isa_is_available(MANTEX_ISA_SCALAR) == 1 && mantex_isa_is_available((mantex_isa)9) == 0);
    OK(mantex_isa_best(&isa));
    CHECK(isa != MANTEX_ISA_BEST && mantex_isa_is_available(isa));
    CHECK(strcmp(mantex_isa_name(isa), mantex_isa_name(MANTEX_ISA_BEST)) == 0);
    OK(mantex_isa_from_name("Scalar", &isa));
    CHECK(isa == MANTEX_ISA_SCALAR);
    FAILS(mantex_isa_from_name("sse2", &isa), MANTEX_ERROR_ISA, "\"sse2\" is not an instruction set");
#ifdef __x86_64__
    FAILS(mantex_isa_from_name("neon", &isa), MANTEX_ERROR_ISA, "is not available");
#endif
    FAILS(mantex_isa_from_name(NULL, &isa), MANTEX_ERROR_NULL, "`name`");
    FAILS(mantex_isa_from_name("avx2", NULL), MANTEX_ERROR_NULL, "`isa`");
    CHECK(isa == MANTEX_ISA_SCALAR);
}

/* What the threads share. */
enum { THREADS = 8, ROUNDS = 20, SHARED = 64 };
static float shared_x[SHARED], shared_p[SHARED];
static double shared_cost[SHARED], shared_mass[8];
static mantex_transport *shared_transport;

/* Solves, fails and reads a shared handle; returns NULL if all is right. */
static void *thread(void *argument)
{
    size_t id = (size_t)argument;
    char expected[64];
    snprintf(expected, sizeof expected, "`scale` is 0; it must be finite");
    for (size_t round = 0; round < ROUNDS; round++) {
        float p[SHARED];
        mantex_transport *transport = NULL;
        mantex_sinkhorn_options options;
        double plan[SHARED];
        if (mantex_softmax_f32(SHARED, shared_x, p, MANTEX_ISA_BEST) || memcmp(p, shared_p, sizeof p)) return "softmax";
        mantex_sinkhorn_options_init(&options, 0.1);
        if (mantex_sinkhorn_solve_f64(8, 8, shared_cost, 8, shared_mass, shared_mass, &options, &transport)) return "solve";
        if (mantex_transport_cost(transport) != mantex_transport_cost(shared_transport)) return "cost";
        mantex_transport_free(transport);
        if (mantex_transport_plan_f64(shared_transport, 8, 8, shared_cost, 8, plan, 8)) return "plan";

        /* The thread's own error, and a call of another thread does not change it. */
        if (mantex_softmax_f32(id + 2, NULL, p, MANTEX_ISA_BEST) != MANTEX_ERROR_NULL) return "no error";
        snprintf(expected, sizeof expected, "`x` is NULL; it must have %zu elements", id + 2);
        const char *message = mantex_last_error();
        for (int spin = 0; spin < 100; spin++)
            if (strcmp(message, expected)) return "the message of another thread";
    }
    return NULL;
}

static void threads(void)
{
    pthread_t ids[THREADS];
    mantex_sinkhorn_options options;
    for (size_t i = 0; i < SHARED; i++) {
        shared_x[i] = (float)(i % 7);
        shared_cost[i] = (double)((i * 37) % 11);
        shared_mass[i % 8] = 0.125;
    }
    OK(mantex_softmax_f32(SHARED, shared_x, shared_p, MANTEX_ISA_BEST));
    OK(mantex_sinkhorn_options_init(&options, 0.1));
    OK(mantex_sinkhorn_solve_f64(8, 8, shared_cost, 8, shared_mass, shared_mass, &options, &shared_transport));
    FAILS(mantex_softmax_f32(1, NULL, shared_p, MANTEX_ISA_BEST), MANTEX_ERROR_NULL, "1 element");
    for (size_t i = 0; i < THREADS; i++) CHECK(pthread_create(&ids[i], NULL, thread, (void *)i) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *wrong = NULL;
        CHECK(pthread_join(ids[i], &wrong) == 0);
        check(wrong == NULL, wrong ? wrong : "", __LINE__);
    }
    CHECK(strstr(mantex_last_error(), "it must have 1 element") != NULL);
    mantex_transport_free(shared_transport);
}

/* With MANTEX_ISA=nonsense, there is no best instruction set, but others are there. */
static void no_best_isa(void)
{
    float x[2] = {1, 2}, out[2] = {7, 7};
    mantex_isa isa;
    for (int i = 0; i < 2; i++) {
        FAILS(mantex_softmax_f32(2, x, out, MANTEX_ISA_BEST), MANTEX_ERROR_ISA, "MANTEX_ISA: \"nonsense\"");
        FAILS(mantex_softmax_rows_f32(1, 2, x, 2, out, 2, NULL), MANTEX_ERROR_ISA, "MANTEX_ISA");
        FAILS(mantex_isa_best(&isa), MANTEX_ERROR_ISA, "MANTEX_ISA");
    }
    CHECK(out[0] == 7 && out[1] == 7);
    CHECK(mantex_isa_is_available(MANTEX_ISA_BEST) == 0 && mantex_isa_name(MANTEX_ISA_BEST) == NULL);
    OK(mantex_softmax_f32(2, x, out, MANTEX_ISA_SCALAR));
}

int main(void)
{
    const char *forced = getenv("MANTEX_ISA");
    int isas = 0;
    if (forced && strcmp(forced, "nonsense") == 0) {
        no_best_isa();
    } else {
        names();
        for (mantex_isa isa = MANTEX_ISA_BEST; isa <= MANTEX_ISA_NEON; isa++) {
            if (!mantex_isa_is_available(isa)) continue;
            isas++;
            softmax_values_f32(isa);
            softmax_values_f64(isa);
            transport_f32(isa);
            transport_f64(isa);
            sparse_transport_f32(isa);
            sparse_transport_f64(isa);
            medoids_f32(isa);
            medoids_f64(isa);
        }
        CHECK(isas >= 2); /* The best one, and scalar. */
        softmax_options_f32();
        softmax_options_f64();
        pointers_f32();
        pointers_f64();
        threads();
    }
    printf("boundary: %d checks passed, best is %s\n", checks, forced ? forced : mantex_isa_name(MANTEX_ISA_BEST));
    return 0;
}
