/*
 * partition.c - the life of a day's file: opened, counted, swapped, closed. Its transactions are in txn.c.
 *
 * (1) A file that bears its name has a manifest (env_create commits it first).
 * (2) A sealed file is never changed: it is opened read-only and without a lock file. Late data goes into a copy (days.c).
 * (3) After partition_retire no commit reaches the file.
 * (4) The environment is replaced (map growth, a failed commit) only while the gate is closed and no reader is inside.
 *
 *   env_create ──▶ live ──partition_seal──▶ sealed
 *                   │ days_put: another file takes its place     (the last partition_unref closes and calls gone)
 *                   └──▶ retired
 */
#include "store/partition_inside.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { GATE_WAIT_MS = 60000, ROOM_BYTES = 1 << 30 };

static _Atomic uint64_t next_version = 1;

/* --- the gate ----------------------------------------------------------------------------------- */

static void nap(void)
{
    nanosleep(&(struct timespec){0, 1000000}, NULL);
}

void partition_enter(struct partition *p)
{
    for (;;) {
        atomic_fetch_add(&p->active, 1);
        if (!atomic_load(&p->gated))
            return;
        atomic_fetch_sub(&p->active, 1);
        while (atomic_load(&p->gated))
            nap();
    }
}

void partition_leave(struct partition *p)
{
    uint32_t was = atomic_fetch_sub(&p->active, 1);

    assert(was > 0);
    (void)was;
}

/* Keeps readers out and waits for those inside. A read lives as long as a query at most. */
static int gate_close(struct partition *p, struct err *e)
{
    atomic_store(&p->gated, true);
    for (int i = 0; atomic_load(&p->active) > 0; i++) {
        if (i >= GATE_WAIT_MS) {
            atomic_store(&p->gated, false);
            return err_set(e, ERR_BUSY, "partition %s: a reader holds it for more than %d s", p->name, GATE_WAIT_MS / 1000);
        }
        nap();
    }
    return 0;
}

static void gate_open(struct partition *p)
{
    atomic_store(&p->gated, false);
}

/* --- open --------------------------------------------------------------------------------------- */

static int make_file(const struct partition_opts *o, struct err *e)
{
    struct manifest m = {.day = o->day, .format = o->format, .created_ms = clock_wall_ms(), .written_ms = clock_wall_ms(), .txn = 1};
    char value[MANIFEST_BYTES + 4];

    snprintf(m.signal, sizeof m.signal, "%s", o->signal);
    manifest_write(value, &m);
    put_u32le(value + MANIFEST_BYTES, value_crc(MANIFEST_KEY, str_n(value, MANIFEST_BYTES)));
    return env_create(o->path, 0, MANIFEST_KEY, str_n(value, sizeof value), e);
}

static int read_manifest(struct env *v, struct manifest *m, struct err *e)
{
    MDB_val key = val_of(MANIFEST_KEY), value;
    struct str s;
    MDB_txn *t;
    int rc = mdb_txn_begin(v->mdb, NULL, MDB_RDONLY, &t);

    if (rc)
        return env_err(e, rc, "cannot read %s", v->path);
    rc = mdb_get(t, v->dbi, &key, &value);
    s = rc == 0 ? str_of_val(value) : STR_NULL;
    if (rc == MDB_NOTFOUND || (rc == 0 && s.n != MANIFEST_BYTES + 4))
        rc = err_set(e, ERR_CORRUPT, "no manifest");
    else if (rc)
        rc = env_err(e, rc, "cannot read the manifest");
    else if (get_u32le(s.p + MANIFEST_BYTES) != value_crc(MANIFEST_KEY, str_head(s, MANIFEST_BYTES)))
        rc = err_set(e, ERR_CORRUPT, "bad checksum of the manifest");
    else
        rc = manifest_read(str_head(s, MANIFEST_BYTES), m, e);
    if (rc == 0 && m->txn != mdb_txn_id(t))
        rc = err_set(e, ERR_CORRUPT, "the manifest is of commit %llu, the file of commit %llu", (unsigned long long)m->txn,
                     (unsigned long long)mdb_txn_id(t));
    mdb_txn_abort(t);
    return rc;
}

static int check_manifest(const struct partition_opts *o, const struct manifest *m, struct err *e)
{
    if (strcmp(m->signal, o->signal) != 0)
        return err_set(e, ERR_CORRUPT, "holds %s, not %s", m->signal, o->signal);
    if (m->day != o->day)
        return err_set(e, ERR_CORRUPT, "holds day %d, not %d", m->day, o->day);
    if (m->format != o->format)
        return err_set(e, ERR_UNSUPPORTED, "%s format %u, this program knows %u", o->signal, m->format, o->format);
    return 0;
}

/* Read-only first: the manifest says whether it may be opened in any other way. */
static int open_env(struct partition *p, struct err *e)
{
    const struct partition_opts *o = &p->opts;
    int rc = env_open(&p->env, o->path, ENV_READ_ONLY | (o->read_only ? 0 : ENV_NO_LOCK), 0, e);

    if (rc < 0 || (rc = read_manifest(&p->env, &p->manifest, e)) < 0 || (rc = check_manifest(o, &p->manifest, e)) < 0)
        return rc;
    p->read_only = o->read_only || (p->manifest.sealed && !o->may_write);
    if (p->read_only)
        return 0;
    env_close(&p->env);
    p->manifest.sealed = false; /* whoever writes it unseals it */
    return env_open(&p->env, o->path, 0, 0, e);
}

static void publish(struct partition *p)
{
    atomic_store(&p->contained, p->manifest.contained);
    atomic_store(&p->written_ms, p->manifest.written_ms);
    atomic_store(&p->sealed, p->manifest.sealed);
    atomic_store(&p->bytes, env_bytes(&p->env));
    atomic_store_explicit(&p->version, atomic_fetch_add(&next_version, 1), memory_order_release);
}

static void partition_free(struct partition *p)
{
    env_close(&p->env);
    pthread_mutex_destroy(&p->write_mu);
    free((char *)(uintptr_t)p->opts.path);
    free(p->name);
    free(p);
}

int partition_open(const struct partition_opts *o, struct partition **out, struct err *e)
{
    struct partition *p;
    int rc = 0;

    if (o->create && access(o->path, F_OK) < 0)
        rc = make_file(o, e);
    if (rc < 0)
        return rc;
    p = x_zalloc(sizeof *p);
    p->opts = *o;
    p->opts.path = x_strdup(str_of(o->path));
    p->opts.create = false;
    p->name = x_strdup(str_of(o->name ? o->name : o->path));
    p->opts.name = p->name;
    snprintf(p->signal, sizeof p->signal, "%s", o->signal);
    p->opts.signal = p->signal;
    p->day = o->day;
    p->env.range = -1;
    atomic_store(&p->refs, 1);
    pthread_mutex_init(&p->write_mu, NULL);
    rc = open_env(p, e);
    if (rc < 0) {
        partition_free(p);
        return err_ctx(e, "partition %s", o->name ? o->name : o->path);
    }
    publish(p);
    *out = p;
    return 0;
}

struct partition *partition_ref(struct partition *p)
{
    uint32_t was = atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);

    assert(was > 0);
    (void)was;
    return p;
}

void partition_unref(struct partition *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
        return;
    assert(atomic_load(&p->active) == 0);
    if (p->opts.gone)
        p->opts.gone(p->opts.arg, p);
    partition_free(p);
}

/* --- before a write ----------------------------------------------------------------------------- */

static int reopen(struct partition *p, struct err *e)
{
    struct env fresh;
    int rc = gate_close(p, e);

    if (rc < 0)
        return rc;
    env_close(&p->env); /* before the new one: two openings of one lock file in a process undo each other's locks */
    rc = env_open(&fresh, p->opts.path, 0, 0, e);
    if (rc == 0) {
        p->env = fresh;
        rc = read_manifest(&p->env, &p->manifest, e);
        p->broken = rc < 0;
    }
    gate_open(p);
    return rc;
}

int partition_prepare_write(struct partition *p, struct err *e)
{
    uint64_t used;
    int rc = 0;

    if ((p->broken || !p->env.mdb) && (rc = reopen(p, e)) < 0)
        return rc;
    used = env_bytes(&p->env);
    p->room_bytes = MAX(p->room_bytes, MIN((uint64_t)ROOM_BYTES, p->env.map_bytes / 4));
    if (used + p->room_bytes <= p->env.map_bytes)
        return 0;
    rc = gate_close(p, e);
    if (rc < 0)
        return rc;
    rc = env_room(&p->env, p->room_bytes, e);
    gate_open(p);
    return rc;
}

/* --- what is known of it ------------------------------------------------------------------------ */

int32_t partition_day(const struct partition *p)
{
    return p->day;
}

bool partition_sealed(const struct partition *p)
{
    return atomic_load(&p->sealed);
}

const char *partition_path(const struct partition *p)
{
    return p->name;
}

void *partition_user(const struct partition *p)
{
    return p->user;
}

void partition_set_user(struct partition *p, void *user)
{
    p->user = user;
}

uint64_t partition_contained(const struct partition *p)
{
    return atomic_load_explicit(&p->contained, memory_order_acquire);
}

uint64_t partition_bytes(const struct partition *p)
{
    return atomic_load_explicit(&p->bytes, memory_order_relaxed);
}

uint64_t partition_version(const struct partition *p)
{
    return atomic_load_explicit(&p->version, memory_order_acquire);
}

int64_t partition_written_ms(struct partition *p)
{
    return atomic_load(&p->written_ms);
}

void partition_manifest(struct partition *p, struct manifest *out)
{
    pthread_mutex_lock(&p->write_mu);
    *out = p->manifest;
    pthread_mutex_unlock(&p->write_mu);
}

void partition_committed(struct partition *p, const struct manifest *m)
{
    p->manifest = *m;
    publish(p);
}

void partition_lock(struct partition *p)
{
    pthread_mutex_lock(&p->write_mu);
}

void partition_unlock(struct partition *p)
{
    pthread_mutex_unlock(&p->write_mu);
}

void partition_expect(struct partition *p, uint64_t bytes)
{
    pthread_mutex_lock(&p->write_mu);
    p->room_bytes = MAX(p->room_bytes, bytes + bytes / 4);
    pthread_mutex_unlock(&p->write_mu);
}

void partition_retire(struct partition *p)
{
    p->retired = true;
}

void partition_check_readers(struct partition *p)
{
    int dead = 0;

    if (p->read_only)
        return;
    partition_enter(p);
    if (p->env.mdb && mdb_reader_check(p->env.mdb, &dead) == 0 && dead > 0)
        log_warn("store", "partition %s: cleared %d stale readers", p->name, dead);
    partition_leave(p);
}

int partition_copy(struct partition *p, const char *to, struct err *e)
{
    int rc;

    partition_enter(p);
    rc = p->env.mdb ? mdb_env_copy(p->env.mdb, to) : EIO;
    partition_leave(p);
    return rc ? env_err(e, rc, "cannot copy %s to %s", p->name, to) : 0;
}

bool partition_is_damaged(const struct partition *p)
{
    return atomic_load(&p->damage_told);
}

void partition_damaged(struct partition *p, const struct err *e)
{
    if (atomic_exchange(&p->damage_told, true))
        return;
    if (p->opts.damaged)
        p->opts.damaged(p->opts.arg, p, e);
    else
        log_error("store", "partition %s is damaged: %s", p->name, e ? e->text : "no more is known");
}
