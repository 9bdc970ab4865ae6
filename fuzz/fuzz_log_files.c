/*
 * fuzz_log_files.c - what collector/files takes apart: records of Docker and CRI and what stages find in them, lists of stages,
 * the journal's export format, marks, globs. The first byte says which.
 */
#include "collector/files/glob.h"
#include "collector/files/journald.h"
#include "collector/files/json_path.h"
#include "collector/files/pipeline.h"
#include "collector/files/position.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t emitted;

static void emit(void *arg, struct entry *en)
{
    const struct pipe_run *run = arg;

    assert(en->line.n <= run->line_max || !en->truncated);
    for (uint32_t i = 0; i < en->nlabels; i++)
        emitted += en->labels[i].name.n + en->labels[i].value.n;
    emitted += en->line.n;
}

/* Every line goes through; then what is held is ended, and nothing is left. */
static void run_lines(const struct stages *s, struct str text)
{
    struct label base_v[] = {{STR("app"), STR("x")}};
    struct labels base = {base_v, 1};
    struct arena a = {0};
    struct pipeline p;
    struct pipe_state state;
    struct pipe_run run;
    struct str line;
    uint64_t at = 0;
    int64_t due;

    pipeline_init(&p, s);
    pipe_state_init(&state, &p);
    run = (struct pipe_run){.p = &p, .state = &state, .a = &a, .base = &base, .err_base = s->docker_first ? &base : NULL, .now_ns = 1, .now_ms = 1,
                            .line_max = 300, .emit = emit, .arg = &run};
    while (text.n) {
        size_t before = text.n;
        struct entry en;

        str_cut(&text, '\n', &line);
        en = entry_new(&run, line, 1, at);
        at += before - text.n;
        pipeline_run(&run, &en);
        assert(pipe_state_safe(&state, at) <= at);
    }
    pipeline_flush(&run, true, &due);
    assert(state.nheld == 0 && due == INT64_MAX && pipe_state_safe(&state, at) == at);
    pipe_state_release(&state);
    pipeline_release(&p);
    arena_release(&a);
}

static void fuzz_stages(struct str yaml, struct str lines, bool docker)
{
    struct arena a = {0};
    struct stages s;
    struct conf *c;
    struct err e;

    if (conf_parse(&a, STR("f.yml"), yaml, &c, &e) == 0 && c->kind == CONF_LIST && stages_read(&a, c, NULL, docker, &s, &e) == 0) {
        run_lines(&s, lines);
        stages_release(&s);
    }
    arena_release(&a);
}

static void fuzz_json(struct str text)
{
    struct json_value v, found;
    struct json_path *p;
    struct arena a = {0};
    struct str path;
    struct err e;

    str_cut(&text, '\n', &path);
    if (json_value_all(text, &v)) {
        (void)json_value_text(&a, &v);
        if (json_path_read(&a, path, &p, &e) == 0 && json_path_find(&a, p, &v, &found))
            assert(found.text.p >= v.text.p && found.text.p + found.text.n <= v.text.p + v.text.n);
    }
    arena_release(&a);
}

/* However the bytes are cut, the same records come. */
static void fuzz_export(struct str text)
{
    struct export_reader whole = {0}, cut = {0};
    struct str in = text, left = text, piece = STR("");
    uint64_t nwhole = 0, ncut = 0, bytes_whole = 0, bytes_cut = 0;

    while (export_take(&whole, &in)) {
        nwhole++;
        for (uint32_t i = 0; i < whole.nfields; i++)
            bytes_whole += export_name(&whole, i).n * 3 + export_value(&whole, i).n;
    }
    while (left.n || piece.n) {
        if (!piece.n) {
            size_t n = MIN((size_t)(1 + left.n % 7), left.n);

            piece = str_head(left, n);
            left = str_from(left, n);
        }
        while (export_take(&cut, &piece)) {
            ncut++;
            for (uint32_t i = 0; i < cut.nfields; i++)
                bytes_cut += export_name(&cut, i).n * 3 + export_value(&cut, i).n;
        }
    }
    assert(nwhole == ncut && bytes_whole == bytes_cut);
    export_release(&whole);
    export_release(&cut);
}

static void fuzz_position(struct str text)
{
    struct position p;
    struct buf b = {0};

    if (position_decode(text, &p)) {
        struct position again;

        position_encode(&p, &b);
        assert(position_decode(buf_str(&b), &again) && again.offset == p.offset && str_eq(again.path, p.path));
    }
    buf_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_n(data + 1, size ? size - 1 : 0), head;
    ptrdiff_t at;

    log_setup(LOG_ERROR, LOG_LOGFMT);
    if (!size)
        return 0;
    switch (data[0] % 8) {
    case 0:
        fuzz_stages(STR("[{multiline: {firstline: '^\\d'}}]"), text, true);
        break;
    case 1:
        fuzz_stages(STR("[{cri: }, {json: {expressions: {a: , b: 'x[0].\"y z\"'}}}, {logfmt: {mapping: {c: c}}}, {labels: {a: , b: , c: }}, {decolorize: }]"), text, false);
        break;
    case 2:
        fuzz_stages(STR("[{pattern: {expression: '<a> [<t>] <_> \"<b>\"'}}, {timestamp: {source: t, format: '02/Jan/2006:15:04:05 -0700', fallback_formats: [Unix, RFC3339, 'Jan _2 15:04:05 MST']}},"
                        " {replace: {expression: '(\\d)x(y)?', replace: z}}, {pack: {labels: [app]}}, {truncate: {limit: 20B, suffix: ..}}]"), text, false);
        break;
    case 3: /* stages, an empty line, lines */
        at = str_find(text, STR("\n\n"));
        head = at < 0 ? text : str_head(text, (size_t)at);
        fuzz_stages(head, at < 0 ? STR("a line\n") : str_from(text, (size_t)at + 2), false);
        break;
    case 4:
        fuzz_json(text);
        break;
    case 5:
        fuzz_export(text);
        break;
    case 6:
        fuzz_position(text);
        break;
    default:
        str_cut(&text, '\n', &head);
        if (head.n < 60 && text.n < 200 && str_chr(head, '\0') < 0 && str_chr(text, '\0') < 0)
            (void)glob_matches(head, text);
        break;
    }
    return 0;
}
