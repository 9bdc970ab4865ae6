/* Remote write 1.0: what the reader makes of messages, usual, unusual and broken. */
#include "collector/push/rw1.c"

#include "tests/collector/push/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct arena arena;

static int read_message(struct rw_message *m, struct buf *b, struct err *e)
{
    arena_release(&arena);
    return rw1_read(m, &arena, arena_dup(&arena, buf_str(b)), e);
}

static void check_labels(struct rw_message *m, uint32_t i, const char *want)
{
    struct buf text = {0};
    struct labels ls;
    struct err e = {0};

    if (m->batch.labels(&m->batch, i, &arena, &ls, &e) < 0)
        buf_putz(&text, e.text);
    else
        labels_print(&text, &ls);
    assert_string_equal(buf_z(&text), want);
    buf_release(&text);
}

static void test_example_of_the_contract(void **state)
{
    static const char hex[] = "0a2c0a0e0a085f5f6e616d655f5f120275700a080a036a6f6212016112100900000000"
                              "0000f03f1080d095ffbc31";
    struct labels ls = {(struct label[]){{STR("__name__"), STR("up")}, {STR("job"), STR("a")}}, 2};
    struct rw_message m;
    struct buf b = {0};
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof hex - 1; i += 2) {
        unsigned c;
        sscanf(hex + i, "%2x", &c);
        buf_putc(&b, (char)c);
    }
    assert_int_equal(b.n, 46);
    assert_int_equal(read_message(&m, &b, &e), 0);
    assert_int_equal(m.batch.nseries, 1);
    assert_int_equal(m.nsamples, 1);
    assert_true(m.batch.t[0] == 1700000000000 && m.batch.v[0] == 1.0);
    assert_true(hash128_eq(m.batch.series[0].key, labels_hash(&ls)));
    check_labels(&m, 0, "up{job=\"a\"}");
    buf_release(&b);
}

/* Times at which the usual form ends and another begins. */
static void test_times(void **state)
{
    static const int64_t times[] = {0,           1,           127,           128,           1700000000000,
                                    34359738367, 34359738368, 4398046511103, 4398046511104, INT64_MAX,
                                    -1,          INT64_MIN};
    struct rw_message m;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(times); i++) {
        struct buf b = {0}, s = {0};

        pb_label(&s, "__name__", "x");
        pb_sample(&s, -0.5, times[i]);
        pb_sample(&s, 7, times[i]);
        pb_message(&b, 1, &s);
        pb_bytes(&b, 9, STR("unknown field, long enough that every sample above can be read fast"));
        assert_int_equal(read_message(&m, &b, &e), 0);
        assert_int_equal(m.nsamples, 2);
        assert_true(m.batch.t[0] == times[i] && m.batch.v[0] == -0.5 && m.batch.t[1] == times[i] && m.batch.v[1] == 7);
        buf_release(&b);
        buf_release(&s);
    }
}

static void test_odd_shapes(void **state)
{
    struct buf b = {0}, s = {0}, x = {0};
    struct rw_message m;
    struct err e;

    (void)state;
    pb_label(&s, "b", "2"); /* unsorted, empty value, scattered by samples and an unknown field */
    pb_sample(&s, 1, 1000);
    pb_label(&s, "empty", "");
    pb_varint(&s, 77, 5);
    pb_label(&s, "__name__", "odd");
    pb_varint(&x, 2, 2000); /* no value: 0 */
    pb_message(&s, 2, &x);
    pb_message(&s, 2, &x); /* nothing: 0 at 0 */
    pb_message(&b, 1, &s);
    pb_label(&s, "a", "1"); /* no name */
    pb_sample(&s, 3, 3000);
    pb_message(&b, 1, &s);
    pb_label(&s, "__name__", "twice");
    pb_label(&s, "a", "1");
    pb_label(&s, "a", "2");
    pb_sample(&s, 3, 3000);
    pb_message(&b, 1, &s);
    pb_label(&s, "__name__", "nothing to store");
    pb_message(&b, 1, &s);
    assert_int_equal(read_message(&m, &b, &e), 0);
    assert_int_equal(m.batch.nseries, 3);
    assert_int_equal(m.batch.series[0].n, 3);
    assert_true(m.batch.v[0] == 1 && m.batch.v[1] == 0 && m.batch.t[1] == 2000 && m.batch.t[2] == 0);
    check_labels(&m, 0, "odd{b=\"2\"}");
    check_labels(&m, 1, "a series without __name__");
    assert_true(m.batch.labels(&m.batch, 2, &arena, &(struct labels){0}, &e) == ERR_INVALID);
    buf_release(&b);
    buf_release(&s);
    buf_release(&x);
}

static void test_exemplars_histograms_metadata(void **state)
{
    struct buf b = {0}, s = {0}, x = {0};
    struct rw_message m;
    struct err e;

    (void)state;
    pb_label(&s, "__name__", "x_bucket");
    pb_sample(&s, 1, 1700000000000);
    pb_label(&x, "trace_id", "abc");
    pb_double(&x, 2, 0.25);
    pb_varint(&x, 3, 1700000000001);
    pb_message(&s, 3, &x);
    pb_varint(&x, 1, 5);
    pb_varint(&x, 6, 5);
    pb_message(&s, 4, &x);
    pb_message(&b, 1, &s);
    pb_varint(&x, 1, METRIC_COUNTER);
    pb_bytes(&x, 2, STR("fam"));
    pb_bytes(&x, 4, STR("Help."));
    pb_bytes(&x, 5, STR("seconds"));
    pb_message(&b, 3, &x);
    pb_varint(&x, 1, 99);
    pb_bytes(&x, 2, STR("bad\xff"));
    pb_message(&b, 3, &x);
    assert_int_equal(read_message(&m, &b, &e), 0);
    assert_int_equal(m.nexemplars, 1);
    assert_true(m.nsamples == 2 && !m.batch.h[0] && m.batch.h[1]->count == 5);
    assert_int_equal(m.batch.series[0].exemplar_n, 1);
    assert_true(m.batch.exemplars[0].v == 0.25 && m.batch.exemplars[0].t == 1700000000001);
    assert_true(str_eqz(labels_get(&m.batch.exemplars[0].labels, STR("trace_id")), "abc"));
    assert_int_equal(m.batch.nmetadata, 1);
    assert_int_equal(m.batch.metadata[0].type, METRIC_COUNTER);
    assert_true(str_eqz(m.batch.metadata[0].help, "Help.") && str_eqz(m.batch.metadata[0].unit, "seconds"));
    buf_release(&b);
    buf_release(&s);
    buf_release(&x);
}

static void test_broken(void **state)
{
    static const struct str broken[] = {STR("\x0a"),
                                        STR("\x0a\x05"
                                            "abc"),
                                        STR("\x0a\x02\x0a\x05"),
                                        STR("\x0a\x04\x0a\x02\x0a\x09"),
                                        STR("\x0a\x03\x12\x01\x09"),
                                        STR("\x0b"),
                                        STR("\x00\x01"),
                                        STR("\x1a\x02\x12\x09"),
                                        STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")};
    struct rw_message m;
    struct err e;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        struct buf b = {0};
        int rc;

        buf_puts(&b, broken[i]);
        rc = read_message(&m, &b, &e);
        if (i == 3) { /* only found when the labels are asked for, and there is nothing to store */
            assert_int_equal(rc, 0);
            assert_int_equal(m.batch.nseries, 0);
        } else {
            assert_int_equal(rc, ERR_INVALID);
            assert_non_null(strstr(e.text, "protobuf: "));
        }
        buf_release(&b);
    }
}

/* Random messages against what they were made of. */
static void test_random(void **state)
{
    unsigned seed = 42;

    (void)state;
    print_message("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 200; round++) {
        struct buf b = {0}, s = {0};
        uint32_t nseries = (uint32_t)rand() % 50, total = 0;
        struct rw_message m;
        struct err e;
        double *v = x_alloc(sizeof *v * 50 * 20);
        int64_t *t = x_alloc(sizeof *t * 50 * 20);
        struct hash128 *keys = x_alloc(sizeof *keys * 50);

        for (uint32_t i = 0; i < nseries; i++) {
            uint32_t n = 1 + (uint32_t)rand() % 20, nl = (uint32_t)rand() % 5;
            struct label l[6] = {{STR("__name__"), STR("metric")}};
            char names[5][8], values[5][300];

            for (uint32_t k = 0; k < nl; k++) {
                snprintf(names[k], sizeof names[k], "l%u", k);
                snprintf(values[k], sizeof values[k], "%0*d", 1 + rand() % 250, rand());
                l[k + 1] = (struct label){str_of(names[k]), str_of(values[k])};
            }
            keys[i] = labels_hash(&(struct labels){l, nl + 1});
            for (uint32_t k = 0; k <= nl; k++) {
                char name[16], value[310];
                snprintf(name, sizeof name, "%.*s", STR_ARG(l[k].name));
                snprintf(value, sizeof value, "%.*s", STR_ARG(l[k].value));
                pb_label(&s, name, value);
            }
            for (uint32_t k = 0; k < n; k++, total++) {
                v[total] = rand() / 3.0;
                t[total] = (int64_t)rand() << (rand() % 20);
                pb_sample(&s, v[total], t[total]);
            }
            pb_message(&b, 1, &s);
        }
        assert_int_equal(read_message(&m, &b, &e), 0);
        assert_int_equal(m.batch.nseries, nseries);
        assert_int_equal(m.nsamples, total);
        for (uint32_t i = 0; i < nseries; i++)
            assert_true(hash128_eq(keys[i], m.batch.series[i].key));
        if (total)
            assert_true(memcmp(m.batch.v, v, sizeof *v * total) == 0 && memcmp(m.batch.t, t, sizeof *t * total) == 0);
        free(v);
        free(t);
        free(keys);
        buf_release(&b);
        buf_release(&s);
    }
}

/* protoc as the oracle: what it encodes from text we read the same. */
static void test_protoc_agrees(void **state)
{
    static const char cmd[] =
        "protoc --encode=tripod.WriteRequest proto/remote_write.proto 2>/dev/null <<'END'\n"
        "timeseries { labels { name: '__name__' value: 'a' } labels { name: 'j' value: 'k' }\n"
        "  samples { value: 1.5 timestamp: 1700000000000 } samples { value: -2 timestamp: -5 }\n"
        "  exemplars { labels { name: 'x' value: 'y' } value: 3 timestamp: 4 } histograms { count_int: 1 sum: 2 zero_count_int: 1 } }\n"
        "metadata { type: 2 metric_family_name: 'a' help: 'h' }\nEND\n";
    struct buf b = {0};
    struct rw_message m;
    struct err e;
    FILE *f;

    (void)state;
    if (system("command -v protoc >/dev/null 2>&1") != 0 || access("proto/remote_write.proto", R_OK) != 0)
        skip();
    f = popen(cmd, "r");
    assert_non_null(f);
    b.n = fread(buf_reserve(&b, 4096), 1, 4096, f);
    pclose(f);
    assert_true(b.n > 50);
    assert_int_equal(read_message(&m, &b, &e), 0);
    assert_true(m.batch.nseries == 1 && m.nsamples == 3 && m.nexemplars == 1 && m.batch.h[2]->sum == 2 &&
                m.batch.nmetadata == 1);
    assert_true(m.batch.t[0] == 1700000000000 && m.batch.v[0] == 1.5 && m.batch.t[1] == -5 && m.batch.v[1] == -2);
    check_labels(&m, 0, "a{j=\"k\"}");
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example_of_the_contract),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_odd_shapes),
        cmocka_unit_test(test_exemplars_histograms_metadata),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_protoc_agrees),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);

    arena_release(&arena);
    return rc;
}
