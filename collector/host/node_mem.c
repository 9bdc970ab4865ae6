/* node_mem.c - memory, and small counters of the kernel: meminfo, vmstat, filefd, entropy. */
#include "collector/host/node.h"

/* Active(anon) -> Active_anon, as the name of a metric. */
static struct str meminfo_key(struct host *h, struct str name, bool bytes)
{
    char *p = arena_alloc(&h->scratch, name.n + 8);
    size_t n = 0;

    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '(')
            p[n++] = '_';
        else if (name.p[i] != ')' && name.p[i] != ':')
            p[n++] = name.p[i];
    }
    if (bytes) {
        memcpy(p + n, "_bytes", 6);
        n += 6;
    }
    return str_n(p, n);
}

int node_meminfo(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_MEMINFO), line;

    if (!text.p)
        return -1;
    while (host_next_line(&text, &line)) {
        struct str name = host_next_word(&line), value = host_next_word(&line), unit = host_next_word(&line), key;

        if (value.n == 0)
            continue;
        key = meminfo_key(h, name, str_eqz(unit, "kB"));
        emit_family2(out, "node_memory_", key, str_ends(key, STR("_total")) ? "counter" : "gauge",
                     "A field of /proc/meminfo.");
        struct emit m = emit_begin2(out, "node_memory_", key);
        emit_end(&m, host_number(value) * (unit.n ? 1024 : 1));
    }
    return 0;
}

/* ^(oom_kill|pgpg|pswp|pg.*fault).* */
static bool vmstat_wanted(struct str name)
{
    return str_starts(name, STR("oom_kill")) || str_starts(name, STR("pgpg")) || str_starts(name, STR("pswp")) ||
           (str_starts(name, STR("pg")) && str_find(name, STR("fault")) >= 0);
}

int node_vmstat(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_VMSTAT), line;

    if (!text.p)
        return -1;
    while (host_next_line(&text, &line)) {
        struct str name = host_next_word(&line), value = host_next_word(&line);

        if (!vmstat_wanted(name) || value.n == 0)
            continue;
        emit_family2(out, "node_vmstat_", name, "untyped", "A field of /proc/vmstat.");
        struct emit m = emit_begin2(out, "node_vmstat_", name);
        emit_end(&m, host_number(value));
    }
    return 0;
}

int node_filefd(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_FILE_NR), allocated;

    if (!text.p)
        return -1;
    str_cut(&text, '\n', &allocated);
    text = allocated;
    allocated = host_next_word(&text);
    host_next_word(&text); /* free ones: always 0 now */
    emit_gauge(out, "node_filefd_allocated", "Open files of the whole host.", host_number(allocated));
    emit_gauge(out, "node_filefd_maximum", "How many there may be.", host_number(host_next_word(&text)));
    return 0;
}

int node_entropy(struct host *h, struct buf *out)
{
    struct str text = host_proc(h, PROC_ENTROPY_AVAIL);

    if (!text.p)
        return -1;
    emit_gauge(out, "node_entropy_available_bits", "Entropy at hand.", host_number(str_trim(text)));
    text = host_proc(h, PROC_ENTROPY_SIZE);
    if (!text.p)
        return -1;
    emit_gauge(out, "node_entropy_pool_size_bits", "Size of the entropy pool.", host_number(str_trim(text)));
    return 0;
}
