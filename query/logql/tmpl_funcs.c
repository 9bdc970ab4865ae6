/* tmpl_funcs.c - see tmpl_funcs.h. Names, arguments and meaning are those of Loki, most of which are sprig's. */
#include "query/logql/tmpl_funcs.h"

#include <stdlib.h>

void tmpl_env_release(struct tmpl_env *env)
{
    for (uint32_t i = 0; i < env->nregexes; i++) {
        regex_free(env->regexes[i].re);
        free((char *)(uintptr_t)env->regexes[i].pattern.p);
    }
    env->nregexes = 0;
}

static TMPL_FN(fn_line)
{
    (void)args;
    (void)n;
    *out = tmpl_str(((const struct tmpl_env *)r->user)->line);
    return 0;
}

static TMPL_FN(fn_timestamp)
{
    (void)args;
    (void)n;
    *out = tmpl_time(gotime_ns(((const struct tmpl_env *)r->user)->t_ns));
    return 0;
}

int lq_give(struct tmpl_run *r, struct buf *b, struct tmpl_value *out)
{
    char *p = tmpl_alloc(r, b->n);

    if (p && b->n)
        memcpy(p, b->p, b->n);
    *out = tmpl_str(str_n(p, p ? b->n : 0));
    buf_release(b);
    return p ? 0 : ERR_EXEC;
}

const struct tmpl_func lq_functions[] = {
    {"__line__", "", fn_line},
    {"__timestamp__", "", fn_timestamp},
    /* text */
    {"lower", "s", lq_fn_lower},
    {"upper", "s", lq_fn_upper},
    {"title", "s", lq_fn_title},
    {"trunc", "is", lq_fn_trunc},
    {"substr", "iis", lq_fn_substr},
    {"alignLeft", "is", lq_fn_align_left},
    {"alignRight", "is", lq_fn_align_right},
    {"trim", "s", lq_fn_trim},
    {"trimAll", "ss", lq_fn_trim_all},
    {"trimPrefix", "ss", lq_fn_trim_prefix},
    {"trimSuffix", "ss", lq_fn_trim_suffix},
    {"replace", "sss", lq_fn_replace},
    {"repeat", "is", lq_fn_repeat},
    {"indent", "is", lq_fn_indent},
    {"nindent", "is", lq_fn_nindent},
    {"contains", "ss", lq_fn_contains},
    {"hasPrefix", "ss", lq_fn_has_prefix},
    {"hasSuffix", "ss", lq_fn_has_suffix},
    {"default", "aa*", lq_fn_default},
    {"urlencode", "s", lq_fn_urlencode},
    {"urldecode", "s", lq_fn_urldecode},
    {"b64enc", "s", lq_fn_b64enc},
    {"b64dec", "s", lq_fn_b64dec},
    {"count", "ss", lq_fn_count},
    {"regexReplaceAll", "sss", lq_fn_regex_replace},
    {"regexReplaceAllLiteral", "sss", lq_fn_regex_replace_literal},
    /* the old names, of Go's strings */
    {"ToLower", "s", lq_fn_lower},
    {"ToUpper", "s", lq_fn_upper},
    {"Replace", "sssi", lq_fn_old_replace},
    {"Trim", "ss", lq_fn_old_trim},
    {"TrimLeft", "ss", lq_fn_old_trim_left},
    {"TrimRight", "ss", lq_fn_old_trim_right},
    {"TrimPrefix", "ss", lq_fn_old_trim_prefix},
    {"TrimSuffix", "ss", lq_fn_old_trim_suffix},
    {"TrimSpace", "s", lq_fn_trim},
    /* numbers */
    {"int", "a", lq_fn_int},
    {"float64", "a", lq_fn_float64},
    {"add", "a*", lq_fn_add},
    {"sub", "aa", lq_fn_sub},
    {"mul", "aa*", lq_fn_mul},
    {"div", "aa", lq_fn_div},
    {"mod", "aa", lq_fn_mod},
    {"addf", "a*", lq_fn_addf},
    {"subf", "aa*", lq_fn_subf},
    {"mulf", "aa*", lq_fn_mulf},
    {"divf", "aa*", lq_fn_divf},
    {"max", "aa*", lq_fn_max},
    {"min", "aa*", lq_fn_min},
    {"maxf", "aa*", lq_fn_maxf},
    {"minf", "aa*", lq_fn_minf},
    {"ceil", "a", lq_fn_ceil},
    {"floor", "a", lq_fn_floor},
    {"round", "aif*", lq_fn_round},
    {"bytes", "s", lq_fn_bytes},
    {"duration", "s", lq_fn_duration},
    {"duration_seconds", "s", lq_fn_duration},
    {"fromJson", "s", lq_fn_from_json},
    /* dates */
    {"now", "", lq_fn_now},
    {"date", "sa", lq_fn_date},
    {"toDate", "ss", lq_fn_to_date},
    {"toDateInZone", "sss", lq_fn_to_date_in_zone},
    {"unixEpoch", "t", lq_fn_unix_epoch},
    {"unixEpochMillis", "t", lq_fn_unix_epoch_millis},
    {"unixEpochNanos", "t", lq_fn_unix_epoch_nanos},
    {"unixToTime", "s", lq_fn_unix_to_time},
};
const uint32_t lq_nfunctions = ARRAY_LEN(lq_functions);
