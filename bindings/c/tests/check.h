/* Checks that count, and end the program at the first one that fails. */
#ifndef CHECK_H
#define CHECK_H

#include "mantex.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counted by the main thread only. */
static int checks;

static void check(int ok, const char *what, int line)
{
    if (!ok) {
        fprintf(stderr, "line %d: %s\n  last error: %s\n", line, what, mantex_last_error());
        exit(1);
    }
}

/* Checks a condition. */
#define CHECK(condition) (check((condition) != 0, #condition, __LINE__), (void)checks++)

/* Checks that a call succeeds. */
#define OK(call) CHECK((call) == MANTEX_OK)

/* Checks that a call fails with a status and a message that contains a text. */
#define FAILS(call, status, text) \
    (CHECK((call) == (status)), check(strstr(mantex_last_error(), (text)) != NULL, #call ": message", __LINE__))

#define NEAR(x, y, tolerance) CHECK(fabs((double)(x) - (double)(y)) <= (tolerance))

#endif
