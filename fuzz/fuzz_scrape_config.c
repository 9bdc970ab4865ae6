/*
 * fuzz_scrape_config.c - configuration files. What is accepted can be printed, and what is printed can be read back and
 * prints the same.
 */
#include "collector/scrape/config.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct scrape_configs *read_text(struct str text, struct err *e)
{
    struct arena a = {0};
    struct scrape_configs *c = NULL;
    struct conf *root;

    if (conf_parse(&a, STR("fuzz.yml"), text, &root, e) == 0)
        (void)scrape_configs_read(root, STR("/nonexistent"), &c, e);
    arena_release(&a);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_n(data, size);
    struct scrape_configs *c, *again;
    struct buf one = {0}, two = {0};
    struct err e = {0};

    log_setup(LOG_ERROR, LOG_LOGFMT);
    if (str_find(text, STR("scrape_config_files")) >= 0)
        return 0; /* would read files of this machine */
    c = read_text(text, &e);
    if (!c)
        return 0;
    scrape_configs_print(c, &one);
    again = read_text(buf_str(&one), &e);
    if (!again) {
        fprintf(stderr, "%s\n%s\n", e.text, buf_z(&one));
        abort();
    }
    scrape_configs_print(again, &two);
    assert(str_eq(buf_str(&one), buf_str(&two)));
    scrape_configs_unref(c);
    scrape_configs_unref(again);
    buf_release(&one);
    buf_release(&two);
    return 0;
}
