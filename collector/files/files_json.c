/* files_json.c - what is followed and how it goes, for the status page and for /metrics. */
#include "collector/files/tailer.h"

static void put_labels(struct json *j, const struct labels *ls)
{
    json_obj(j);
    for (uint32_t i = 0; i < ls->n; i++) {
        json_key_str(j, ls->v[i].name);
        json_str(j, ls->v[i].value);
    }
    json_end_obj(j);
}

/* Bytes that are written and not yet stored. */
static uint64_t lag_of(const struct target *t)
{
    uint64_t lag = 0;

    for (const struct followed *w = t->first; w; w = w->next)
        lag += w->size > w->stored_to && !source_compressed(w->src) ? w->size - w->stored_to : 0;
    return lag;
}

static void put_target(struct json *j, const struct target *t)
{
    json_obj(j);
    json_key(j, "job");
    json_str(j, t->job->config->name);
    json_key(j, "type");
    json_strz(j, t->docker ? "docker" : "file");
    json_key(j, "path");
    json_str(j, t->path);
    json_key(j, "labels");
    put_labels(j, &t->labels);
    json_key(j, "discoveredLabels");
    put_labels(j, &t->discovered);
    json_key(j, "ready");
    json_bool(j, t->first != NULL && !t->refused.p);
    json_key(j, "position");
    json_u64(j, t->last ? t->last->stored_to : 0);
    json_key(j, "size");
    json_u64(j, t->last ? t->last->size : 0);
    json_key(j, "lag");
    json_u64(j, lag_of(t));
    json_key(j, "lines");
    json_u64(j, t->lines);
    json_key(j, "bytes");
    json_u64(j, t->bytes);
    json_key(j, "error");
    json_str(j, t->refused.p ? t->refused : t->missing && !t->ending ? STR("no such file") : STR(""));
    json_end_obj(j);
}

static void put_journal(struct json *j, const struct job *job)
{
    json_obj(j);
    json_key(j, "job");
    json_str(j, job->config->name);
    json_key(j, "type");
    json_strz(j, "journal");
    json_key(j, "path");
    json_str(j, job->config->journal->path.n ? job->config->journal->path : STR("the system's journal"));
    json_key(j, "labels");
    put_labels(j, &job->config->journal->labels);
    json_key(j, "ready");
    json_bool(j, journald_runs(job->journald));
    json_end_obj(j);
}

void files_targets_json(struct files *f, struct buf *out)
{
    struct json j;

    json_init(&j, out);
    json_arr(&j);
    pthread_mutex_lock(&f->mu);
    for (uint32_t i = 0; i < f->njobs; i++) {
        struct map_entry *en;
        uint32_t at = 0;

        while ((en = map_next(&f->jobs[i]->targets, &at)))
            put_target(&j, en->value);
        if (f->jobs[i]->journald)
            put_journal(&j, f->jobs[i]);
    }
    pthread_mutex_unlock(&f->mu);
    json_end_arr(&j);
}

static void one(struct buf *out, const char *name, const char *type, const char *help, uint64_t v)
{
    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name, (unsigned long long)v);
}

void files_metrics(struct files *f, struct buf *out)
{
    uint64_t targets = 0, errors = 0, lag = 0, dropped = 0;

    pthread_mutex_lock(&f->mu);
    for (uint32_t i = 0; i < f->njobs; i++) {
        struct job *j = f->jobs[i];
        struct map_entry *en;
        uint32_t at = 0;

        while ((en = map_next(&j->targets, &at))) {
            const struct target *t = en->value;

            targets++;
            errors += t->refused.p != NULL;
            lag += lag_of(t);
        }
        dropped += j->pipeline.dropped + j->docker_pipeline.dropped;
        pipeline_metrics(&j->pipeline, out);
        pipeline_metrics(&j->docker_pipeline, out);
    }
    one(out, "tripod_files_targets", "gauge", "Paths that are followed.", targets);
    one(out, "tripod_files_targets_failed", "gauge", "Those that cannot be read.", errors);
    one(out, "tripod_files_open", "gauge", "Files held open.", f->nopen);
    one(out, "tripod_files_lag_bytes", "gauge", "Bytes written to followed files and not yet stored.", lag);
    one(out, "tripod_files_lines_total", "counter", "Lines read.", f->lines);
    one(out, "tripod_files_bytes_total", "counter", "Bytes of them.", f->bytes);
    one(out, "tripod_files_rows_total", "counter", "Records stored.", f->rows);
    one(out, "tripod_files_refused_total", "counter", "Records that the store refused (too old, too many streams, ...).", f->refused);
    one(out, "tripod_files_dropped_total", "counter", "Lines that a stage dropped.", dropped);
    one(out, "tripod_files_cut_lines_total", "counter", "Lines longer than the limit, cut there.", f->cut_lines);
    one(out, "tripod_files_rotations_total", "counter", "Files that were renamed away.", f->rotations);
    one(out, "tripod_files_truncations_total", "counter", "Files that were truncated.", f->truncations);
    one(out, "tripod_files_retries_total", "counter", "Batches given to the store again, because it was full or busy.", f->retries);
    one(out, "tripod_files_errors_total", "counter", "Files that could not be read, and sources that failed.", f->errors);
    pthread_mutex_unlock(&f->mu);
}
