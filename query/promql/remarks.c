/*
 * remarks.c - the words of warnings and infos about samples, as upstream's util/annotations has them.
 */
#include "query/promql/eval.h"
#include "query/vector/histogram.h"

unsigned remark_of_elem(const struct elem_notes *notes)
{
    return notes->incompatible * REMARK_PAIRS | notes->hist * REMARK_HIST | (notes->schemas ? REMARK_SCHEMAS : 0);
}

static void range_remarks(struct eval *ev, const struct node *n, unsigned bits, struct str metric)
{
    struct notes *ns = &ev->notes;
    uint32_t at = n->start;

    if (bits & (NOTE_MIXED | REMARK_SMOOTHED_MIX))
        note_warn(ns, at, "encountered a mix of histograms and floats for metric name \"%.*s\"", STR_ARG(metric));
    if (bits & NOTE_MIXED_SCHEMAS)
        note_warn(
            ns, at,
            "vector contains a mix of histograms with exponential and custom buckets schemas for metric name \"%.*s\"",
            STR_ARG(metric));
    if (bits & NOTE_NOT_COUNTER)
        note_warn(ns, at, "this native histogram metric is not a counter: \"%.*s\"", STR_ARG(metric));
    if (bits & NOTE_NOT_GAUGE)
        note_warn(ns, at, "this native histogram metric is not a gauge: \"%.*s\"", STR_ARG(metric));
    if (bits & NOTE_START_OVERLAP)
        note_warn(ns, at, "sample has start time that overlaps with previous sample timestamp for metric \"%.*s\"",
                  STR_ARG(metric));
    if (bits & NOTE_RESET_CONFLICT_AGG)
        note_warn(ns, at, "conflicting counter resets during histogram aggregation");
    if (bits & NOTE_RESET_CONFLICT_SUB)
        note_warn(ns, at, "conflicting counter resets during histogram subtraction");
    if (bits & NOTE_BOUNDS_AGG)
        note_info(ns, at, "mismatched custom buckets were reconciled during aggregation");
    if (bits & NOTE_BOUNDS_SUB)
        note_info(ns, at, "mismatched custom buckets were reconciled during subtraction");
    if (bits & NOTE_IGNORED_HISTOGRAMS)
        note_info(ns, at,
                  "ignored histograms in a range containing both floats and histograms for metric name \"%.*s\"",
                  STR_ARG(metric));
    if (bits & NOTE_GAUGE_EDGES)
        note_info(
            ns, at,
            "resets of gauge histograms were looked for in aggregates, where samples are no longer kept, for metric name "
            "\"%.*s\"",
            STR_ARG(metric));
    if (bits & NOTE_POINTS)
        note_info(ns, at, "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"%.*s\"",
                  STR_ARG(metric));
}

static void elem_remarks(struct eval *ev, const struct node *n, unsigned bits)
{
    static const char *const kinds[] = {"float", "histogram"};
    const char *op = n->kind == N_BINARY ? promql_op_text(n->binary.op) : "-";
    bool sub = n->kind == N_BINARY && n->binary.op == OP_SUB;
    struct notes *ns = &ev->notes;

    for (unsigned l = 0; l < 2; l++)
        for (unsigned r = 0; r < 2; r++)
            if (bits / REMARK_PAIRS & 1u << (l * 2 + r))
                note_info(ns, n->start, "incompatible sample types encountered for binary operator \"%s\": %s %s %s",
                          op, kinds[l], op, kinds[r]);
    if (bits & REMARK_SCHEMAS)
        note_warn(ns, n->start, "incompatible bucket layout encountered for binary operator %s", op);
    if (bits / REMARK_HIST & HIST_RESET_CONFLICT)
        note_warn(ns, n->start, "conflicting counter resets during histogram %s", sub ? "subtraction" : "addition");
    if (bits / REMARK_HIST & HIST_BOUNDS_RECONCILED)
        note_info(ns, n->start, "mismatched custom buckets were reconciled during %s",
                  sub ? "subtraction" : "addition");
}

void eval_remark(struct eval *ev, const struct node *node, unsigned bits, struct str metric)
{
    if (bits & (REMARK_PAIRS - 1 + REMARK_SMOOTHED_MIX))
        range_remarks(ev, node, bits, metric);
    if (bits & (REMARK_PAIRS * 15 | REMARK_HIST * 3 | REMARK_SCHEMAS))
        elem_remarks(ev, node, bits);
}

void eval_quantile_warnings(struct eval *ev, const struct node *arg, const double *q, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        char text[NUM_MAX];

        if ((q[i] >= 0 && q[i] <= 1) || (i && f64_bits(q[i]) == f64_bits(q[i - 1])))
            continue;
        note_warn(&ev->notes, arg->start, "quantile value should be between 0 and 1, got %.*s",
                  (int)num_fmt_g(q[i], text), text);
    }
}
