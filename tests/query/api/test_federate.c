/* test_federate.c - which format a client gets, and that what goes out in protobuf reads back as it was. */
#include "query/api/federate_proto.c"

#include "collector/push/wire_hist.h"
#include "collector/scrape/expo.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PROTOBUF "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

static void test_formats(void **state)
{
    static const struct {
        const char *accept;
        enum federate_format format;
    } cases[] = {
        {"", FEDERATE_TEXT},
        {"*/*", FEDERATE_TEXT},
        {"text/html, */*;q=0.1", FEDERATE_TEXT},
        {"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
         FEDERATE_OPENMETRICS},
        {PROTOBUF ";q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1", FEDERATE_PROTOBUF},
        {PROTOBUF ";q=0.2, text/plain;q=0.3", FEDERATE_TEXT},
        {"application/vnd.google.protobuf;proto=other", FEDERATE_TEXT},
        {"application/openmetrics-text; version=1.0.0 ; q=0", FEDERATE_TEXT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(federate_format_of(str_of(cases[i].accept)), cases[i].format);
}

static struct federate_row row_of(struct arena *a, const char *name, double v, const struct histogram *h)
{
    struct label *l = arena_array(a, struct label, 2);

    l[0] = (struct label){STR(LABEL_NAME), str_of(name)};
    l[1] = (struct label){STR("job"), STR("x")};
    return (struct federate_row){{l, 2}, 1700000000000, v, h};
}

static void test_protobuf_reads_back(void **state)
{
    static const struct hist_bucket pos[] = {{-3, 1.5}, {-2, 2}, {4, 0.25}}, neg[] = {{1, 7}}, cells[] = {{0, 2}, {2, 3}};
    static const double bounds[] = {0.5, 1};
    const struct histogram
        full = {.schema = 2, .zero_threshold = 0.001, .zero_count = 3, .count = 13.75, .sum = 99, .npos = 3, .pos = pos,
                .nneg = 1, .neg = neg},
        gauge = {.schema = 0, .hint = HIST_GAUGE, .count = 3.75, .sum = 1, .npos = 3, .pos = pos},
        empty = {.schema = 1, .zero_threshold = 0x1p-128},
        custom = {.schema = HIST_CUSTOM, .nbounds = 2, .bounds = bounds, .npos = 2, .pos = cells, .count = 5, .sum = 4};
    struct label own[] = {{STR("job"), STR("not taken")}, {STR("region"), STR("eu")}};
    struct labels external = {own, 2};
    struct arena a = {0};
    struct federate_row rows[] = {row_of(&a, "a", 7, NULL), row_of(&a, "h", 0, &full), row_of(&a, "h2", 0, &gauge),
                                  row_of(&a, "h3", 0, &empty), row_of(&a, "n", 0, &custom)};
    const struct histogram *natives[] = {&full, &gauge, &empty};
    struct expo_entry en;
    struct buf b = {0}, classic = {0};
    uint32_t n = 0, native = 0, floats = 0;
    struct err e;

    (void)state;
    while (n < ARRAY_LEN(rows))
        n += federate_put_family(&b, rows + n, (uint32_t)ARRAY_LEN(rows) - n, &external);
    struct expo *x = expo_new(&a, EXPO_PROTOBUF, buf_str(&b), NULL);
    while (expo_next(x, &en, &e) == 0 && en.kind != EXPO_END) {
        if (en.kind != EXPO_SERIES)
            continue;
        assert_int_equal(en.t, 1700000000000);
        if (en.histogram.n) {
            struct wire_hist got;
            assert_int_equal(wire_hist_read(en.histogram, WIRE_HIST_EXPOSITION, &a, &got, &e), 0);
            assert_int_equal(en.gauge, natives[native]->hint == HIST_GAUGE);
            assert_true(hist_equal(&got.h, natives[native]));
            native++;
        } else if (!en.classic_too && str_starts(en.series, STR("n_"))) {
            buf_printf(&classic, "%.*s %g\n", STR_ARG(en.series), en.v);
        } else if (!en.classic_too) {
            assert_true(en.v == 7 && str_eqz(en.series, "a{job=\"x\",instance=\"\",region=\"eu\"}"));
            floats++;
        }
    }
    assert_int_equal(native, 3);
    assert_int_equal(floats, 1);
    assert_string_equal(buf_z(&classic),
                        "n_count{job=\"x\",instance=\"\",region=\"eu\"} 5\nn_sum{job=\"x\",instance=\"\",region=\"eu\"} 4\n"
                        "n_bucket{job=\"x\",instance=\"\",region=\"eu\",le=\"0.5\"} 2\n"
                        "n_bucket{job=\"x\",instance=\"\",region=\"eu\",le=\"1.0\"} 2\n"
                        "n_bucket{job=\"x\",instance=\"\",region=\"eu\",le=\"+Inf\"} 5\n");
    buf_release(&b);
    buf_release(&classic);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_protobuf_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
