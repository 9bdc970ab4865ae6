/*
 * glob.c - walks part by part: only folders that can lead to a match are opened.
 *
 * (1) A folder is entered once per walk and pattern; links to folders are not followed below `**`, so a walk ends.
 */
#include "collector/files/glob.h"

#include <dirent.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PARTS_MAX = 64, ALTERNATIVES_MAX = 256 };

struct walk {
    char *parts[PARTS_MAX];
    unsigned n;
    size_t left;
    void (*fn)(void *arg, const char *path);
    void (*folder)(void *arg, const char *path);
    void *arg;
};

/* --- {a,b} --------------------------------------------------------------------------------------------------- */

/* The first innermost {...} with a comma: true and its place. */
static bool find_braces(struct str s, size_t *open, size_t *close)
{
    bool any = false, comma = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '{') {
            *open = i;
            any = true;
            comma = false;
        } else if (s.p[i] == ',') {
            comma = true;
        } else if (s.p[i] == '}' && any && comma) {
            *close = i;
            return true;
        }
    }
    return false;
}

/* Calls fn for each pattern without braces. */
static void expand(struct str pattern, unsigned *left, void (*fn)(void *arg, struct str pattern), void *arg)
{
    size_t open = 0, close = 0;
    struct str inside, part;
    bool more = true;

    if (*left == 0)
        return;
    if (!find_braces(pattern, &open, &close)) {
        --*left;
        fn(arg, pattern);
        return;
    }
    inside = str_n(pattern.p + open + 1, close - open - 1);
    while (more) {
        struct buf b = {0};

        more = str_cut(&inside, ',', &part);
        buf_puts(&b, str_head(pattern, open));
        buf_puts(&b, part);
        buf_puts(&b, str_from(pattern, close + 1));
        buf_z(&b);
        expand(buf_str(&b), left, fn, arg);
        buf_release(&b);
    }
}

/* --- matching -------------------------------------------------------------------------------------------------- */

/* As with `*` in one name: when what follows a `**` fails, only the last `**` need take one part more. */
static bool match_parts(char *const *pattern, unsigned np, char *const *path, unsigned n)
{
    unsigned p = 0, i = 0, star = np, from = 0;

    while (i < n) {
        if (p < np && strcmp(pattern[p], "**") == 0) {
            star = p++;
            from = i;
        } else if (p < np && fnmatch(pattern[p], path[i], 0) == 0) {
            p++;
            i++;
        } else if (star < np) {
            p = star + 1;
            i = ++from;
        } else {
            return false;
        }
    }
    while (p < np && strcmp(pattern[p], "**") == 0)
        p++;
    return p == np;
}

/* Parts of a path; the text is owned by *text. */
static unsigned split(struct str s, char **text, char **parts)
{
    unsigned n = 0;
    char *save = NULL;

    *text = x_strdup(s);
    for (char *p = strtok_r(*text, "/", &save); p && n < PARTS_MAX; p = strtok_r(NULL, "/", &save)) {
        if (strcmp(p, ".") != 0)
            parts[n++] = p;
    }
    return n;
}

struct match_ask {
    struct str path;
    bool found;
};

static void match_one(void *arg, struct str pattern)
{
    struct match_ask *ask = arg;
    char *a[PARTS_MAX], *b[PARTS_MAX], *ta, *tb;
    unsigned na = split(pattern, &ta, a), nb = split(ask->path, &tb, b);

    ask->found |= (pattern.n && pattern.p[0] == '/') == (ask->path.n && ask->path.p[0] == '/') && match_parts(a, na, b, nb);
    free(ta);
    free(tb);
}

bool glob_matches(struct str pattern, struct str path)
{
    struct match_ask ask = {path, false};
    unsigned left = ALTERNATIVES_MAX;

    expand(pattern, &left, match_one, &ask);
    return ask.found;
}

/* --- walking ----------------------------------------------------------------------------------------------------- */

static bool is_plain(const char *part)
{
    return !strpbrk(part, "*?[\\");
}

static bool is_folder(const char *path, bool follow)
{
    struct stat st;

    return (follow ? stat(path, &st) : lstat(path, &st)) == 0 && S_ISDIR(st.st_mode);
}

static char *join_path(const char *folder, const char *name)
{
    struct buf b = {0};

    buf_putz(&b, folder);
    if (b.n && b.p[b.n - 1] != '/')
        buf_putc(&b, '/');
    buf_putz(&b, name);
    buf_z(&b);
    return buf_detach(&b, NULL);
}

static void walk_part(struct walk *w, const char *folder, unsigned i);

/* A name that matches part i. */
static void walk_name(struct walk *w, char *path, unsigned i)
{
    struct stat st;

    if (i + 1 == w->n) {
        if (w->left && stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
            w->left--;
            w->fn(w->arg, path);
        }
    } else if (is_folder(path, true)) {
        walk_part(w, path, i + 1);
    }
    free(path);
}

static void walk_part(struct walk *w, const char *folder, unsigned i)
{
    bool deep = strcmp(w->parts[i], "**") == 0;
    struct dirent *en;
    DIR *d;

    if (!deep && is_plain(w->parts[i])) {
        if (i + 1 == w->n)
            w->folder(w->arg, folder);
        walk_name(w, join_path(folder, w->parts[i]), i);
        return;
    }
    w->folder(w->arg, folder);
    if (deep && i + 1 < w->n)
        walk_part(w, folder, i + 1); /* no part at all */
    d = opendir(folder);
    while (d && (en = readdir(d))) {
        if (strcmp(en->d_name, ".") == 0 || strcmp(en->d_name, "..") == 0)
            continue;
        if (!deep) {
            if (fnmatch(w->parts[i], en->d_name, 0) == 0)
                walk_name(w, join_path(folder, en->d_name), i);
            continue;
        }
        {
            char *path = join_path(folder, en->d_name);

            if (is_folder(path, false)) {
                walk_part(w, path, i);
                free(path);
            } else if (i + 1 == w->n) {
                walk_name(w, path, i);
            } else {
                free(path);
            }
        }
    }
    if (d)
        closedir(d);
}

static void walk_one(void *arg, struct str pattern)
{
    struct walk *w = arg;
    char *text;

    w->n = split(pattern, &text, w->parts);
    if (w->n)
        walk_part(w, pattern.p[0] == '/' ? "/" : ".", 0);
    free(text);
}

void glob_walk(struct str pattern, size_t max, void (*fn)(void *arg, const char *path), void (*folder)(void *arg, const char *path), void *arg)
{
    struct walk w = {.left = max, .fn = fn, .folder = folder, .arg = arg};
    unsigned left = ALTERNATIVES_MAX;

    if (str_chr(pattern, '\0') < 0)
        expand(pattern, &left, walk_one, &w);
}
