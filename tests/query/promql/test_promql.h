/* test_promql.h - what the tests of the PromQL front half share. */
#ifndef TEST_PROMQL_H
#define TEST_PROMQL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#endif
