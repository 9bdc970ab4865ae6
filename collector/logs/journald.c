/*
 * journald.c - what systemd-journal-upload sends: the journal's export format.
 *
 *   KEY=value\n                  text
 *   KEY\n LENGTH(8, LE) bytes \n  bytes that may hold newlines
 *   \n                           the entry ends
 *
 * (1) A body is read as a whole before anything is stored.
 */
#include "collector/logs/fields.h"
#include "collector/logs/request.h"

enum { OWN_FIELDS_MAX = 100 };

struct entry {
    struct str message, unit, identifier, hostname, machine;
    int64_t t_ns;
    struct fields rest;
    bool any;
};

static int next_field(struct str *rest, struct str *key, struct str *value, struct err *e)
{
    struct str line;
    uint64_t n;

    str_cut(rest, '\n', &line);
    *value = line;
    if (str_cut(value, '=', key) || line.n == 0)
        return 0;
    if (rest->n < 8)
        return err_set(e, ERR_INVALID, "the field %.*s of a journal entry is cut off", STR_ARG(str_head(*key, 100)));
    n = get_u64le(rest->p);
    *rest = str_from(*rest, 8);
    if (n >= rest->n || rest->p[n] != '\n')
        return err_set(e, ERR_INVALID, "the field %.*s of a journal entry does not have the length it says", STR_ARG(str_head(*key, 100)));
    *value = str_head(*rest, n);
    *rest = str_from(*rest, n + 1);
    return 0;
}

static void take_field(struct arena *a, struct entry *en, struct str key, struct str value)
{
    uint64_t us, priority;

    en->any = true;
    if (str_eqz(key, "MESSAGE"))
        en->message = value;
    else if (str_eqz(key, "__REALTIME_TIMESTAMP") && str_to_u64(value, &us) && us < INT64_MAX / 1000)
        en->t_ns = (int64_t)us * 1000;
    else if (str_eqz(key, "_MACHINE_ID"))
        en->machine = value;
    else if (str_eqz(key, "_HOSTNAME"))
        en->hostname = value;
    else if (str_eqz(key, "_SYSTEMD_UNIT"))
        en->unit = value;
    else if (!str_starts(key, STR("__")) && en->rest.n < OWN_FIELDS_MAX)
        fields_add(a, &en->rest, key, value);
    if (str_eqz(key, "SYSLOG_IDENTIFIER"))
        en->identifier = value;
    if (str_eqz(key, "PRIORITY") && str_to_u64(value, &priority) && priority < 8)
        fields_add(a, &en->rest, STR("level"), str_of(syslog_severity_name((unsigned)priority)));
}

static struct str service_of(const struct entry *en)
{
    struct str suffix = STR(".service");

    return str_ends(en->unit, suffix) ? str_head(en->unit, en->unit.n - suffix.n) : en->identifier.n ? en->identifier : en->unit;
}

static int put_entry(struct logs_request *q, struct entry *en, int64_t now_ns, struct err *e)
{
    struct label v[6] = {{STR("_MACHINE_ID"), en->machine}, {STR("_HOSTNAME"), en->hostname}, {STR("_SYSTEMD_UNIT"), en->unit},
                         {STR("service_name"), service_of(en)}};
    struct labels ls = {v, 4};
    enum logs_reason reason;
    uint32_t stream;
    struct err why;

    if (!en->message.n)
        return 0;
    if (intake_find(&q->in, &ls, &stream, &reason, &why) < 0) {
        intake_refuse(&q->in, reason, 1, why.text);
        return 0;
    }
    intake_row(&q->in, stream, en->t_ns ? en->t_ns : now_ns, en->message);
    for (uint32_t i = 0; i < en->rest.n; i++)
        intake_meta(&q->in, en->rest.v[i].name, en->rest.v[i].value);
    intake_row_end(&q->in);
    return intake_check(&q->in, e);
}

static int read_entries(struct logs_request *q, struct err *e)
{
    int64_t now_ns = clock_wall_ns();
    struct str rest = q->r->body, key, value;
    struct entry en = {0};

    while (rest.n) {
        if (rest.p[0] == '\n') {
            rest = str_from(rest, 1);
            if (en.any && put_entry(q, &en, now_ns, e) < 0)
                return e->code;
            en = (struct entry){.rest = {en.rest.v, 0, en.rest.cap}};
            continue;
        }
        if (next_field(&rest, &key, &value, e) < 0)
            return ERR_INVALID;
        take_field(q->in.a, &en, key, value);
    }
    return en.any ? put_entry(q, &en, now_ns, e) : 0;
}

void push_journald(struct http_request *r, void *logs)
{
    struct logs_request *q = logs_request_new(r, logs, LOGS_JOURNALD, true);
    struct err e = {0};

    q->ok_status = 200;
    q->lenient = true;
    if (!str_eqz(http_header(r, "Content-Type"), "application/vnd.fdo.journal"))
        logs_request_refuse(q, 400, "the Content-Type must be application/vnd.fdo.journal");
    else if (logs_request_decode(q) < 0)
        return;
    else if (read_entries(q, &e) < 0)
        logs_request_fail(q, &e);
    else
        logs_request_send(q);
}
