/* tmpl_funcs.h - what line_format and label_format may call. Private to query/logql and of use to whoever formats lines. */
#ifndef LOGQL_TMPL_FUNCS_H
#define LOGQL_TMPL_FUNCS_H

#include "base/template/template.h"

enum { TMPL_REGEX_MAX = 64 };

/* What functions know besides their arguments: tmpl_run.user. One thread's. */
struct tmpl_env {
    struct str line;
    int64_t t_ns;
    struct tmpl_regex {
        struct str pattern; /* owned */
        struct regex *re;
    } regexes[TMPL_REGEX_MAX]; /* asked for before: patterns are nearly always constants */
    uint32_t nregexes;
};
void tmpl_env_release(struct tmpl_env *env);

extern const struct tmpl_func lq_functions[];
extern const uint32_t lq_nfunctions;

/* --- by family ------------------------------------------------------------------------------------------ */

#define TMPL_FN(name) int name(struct tmpl_run *r, const struct tmpl_value *args, uint32_t n, struct tmpl_value *out)

TMPL_FN(lq_fn_lower); TMPL_FN(lq_fn_upper); TMPL_FN(lq_fn_title);
TMPL_FN(lq_fn_trunc); TMPL_FN(lq_fn_substr); TMPL_FN(lq_fn_align_left); TMPL_FN(lq_fn_align_right);
TMPL_FN(lq_fn_trim); TMPL_FN(lq_fn_trim_all); TMPL_FN(lq_fn_trim_prefix); TMPL_FN(lq_fn_trim_suffix);
TMPL_FN(lq_fn_old_trim); TMPL_FN(lq_fn_old_trim_left); TMPL_FN(lq_fn_old_trim_right);
TMPL_FN(lq_fn_old_trim_prefix); TMPL_FN(lq_fn_old_trim_suffix); TMPL_FN(lq_fn_old_replace);
TMPL_FN(lq_fn_replace); TMPL_FN(lq_fn_repeat); TMPL_FN(lq_fn_indent); TMPL_FN(lq_fn_nindent);
TMPL_FN(lq_fn_contains); TMPL_FN(lq_fn_has_prefix); TMPL_FN(lq_fn_has_suffix); TMPL_FN(lq_fn_default);
TMPL_FN(lq_fn_urlencode); TMPL_FN(lq_fn_urldecode); TMPL_FN(lq_fn_b64enc); TMPL_FN(lq_fn_b64dec);
TMPL_FN(lq_fn_count); TMPL_FN(lq_fn_regex_replace); TMPL_FN(lq_fn_regex_replace_literal);

TMPL_FN(lq_fn_int); TMPL_FN(lq_fn_float64);
TMPL_FN(lq_fn_add); TMPL_FN(lq_fn_sub); TMPL_FN(lq_fn_mul); TMPL_FN(lq_fn_div); TMPL_FN(lq_fn_mod);
TMPL_FN(lq_fn_addf); TMPL_FN(lq_fn_subf); TMPL_FN(lq_fn_mulf); TMPL_FN(lq_fn_divf);
TMPL_FN(lq_fn_max); TMPL_FN(lq_fn_min); TMPL_FN(lq_fn_maxf); TMPL_FN(lq_fn_minf);
TMPL_FN(lq_fn_ceil); TMPL_FN(lq_fn_floor); TMPL_FN(lq_fn_round);
TMPL_FN(lq_fn_bytes); TMPL_FN(lq_fn_duration);

TMPL_FN(lq_fn_now); TMPL_FN(lq_fn_date); TMPL_FN(lq_fn_to_date); TMPL_FN(lq_fn_to_date_in_zone);
TMPL_FN(lq_fn_unix_epoch); TMPL_FN(lq_fn_unix_epoch_millis); TMPL_FN(lq_fn_unix_epoch_nanos); TMPL_FN(lq_fn_unix_to_time);

TMPL_FN(lq_fn_from_json);

/* Zero, empty or nil: what sprig's default replaces. */
bool lq_value_empty(struct tmpl_run *r, struct tmpl_value v);
/* The bytes of b as a string of the run; releases b. */
int lq_give(struct tmpl_run *r, struct buf *b, struct tmpl_value *out);

#endif
