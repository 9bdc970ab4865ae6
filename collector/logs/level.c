/*
 * level.c - see level.h.
 *
 * (1) What is returned is one of the static words below: never a piece of the line.
 * (2) Fields are looked at in the order in which they stand; the first that is a level's field decides, and when its value is
 *     no level the words of the whole line do.
 */
#include "collector/logs/level.h"

#include "base/json_in.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { DEPTH_MAX = 2 };

/* --- words ----------------------------------------------------------------------------------------- */

static const struct {
    struct str word, level;
} words[] = {
    {{"info", 4}, {"info", 4}},         {{"error", 5}, {"error", 5}},       {{"warn", 4}, {"warn", 4}},
    {{"debug", 5}, {"debug", 5}},       {{"warning", 7}, {"warn", 4}},      {{"err", 3}, {"error", 5}},
    {{"trace", 5}, {"trace", 5}},       {{"fatal", 5}, {"fatal", 5}},       {{"critical", 8}, {"critical", 8}},
    {{"inf", 3}, {"info", 4}},          {{"wrn", 3}, {"warn", 4}},          {{"dbg", 3}, {"debug", 5}},
    {{"trc", 3}, {"trace", 5}},         {{"information", 11}, {"info", 4}},
};

struct str level_word(struct str word)
{
    for (size_t i = 0; word.n >= 3 && word.n <= 11 && i < ARRAY_LEN(words); i++)
        if (words[i].word.n == word.n && (word.p[0] | 32) == words[i].word.p[0] && str_eq_nocase(word, words[i].word))
            return words[i].level;
    return STR_NULL;
}

int level_field_rank(struct str name)
{
    static const struct str names[] = {
        {"level", 5},    {"LEVEL", 5},         {"Level", 5}, {"log.level", 9}, {"severity", 8}, {"SEVERITY", 8},       {"Severity", 8},
        {"SeverityText", 12}, {"lvl", 3}, {"LVL", 3},   {"Lvl", 3},       {"severity_text", 13}, {"Severity_Text", 13}, {"SEVERITY_TEXT", 13},
    };

    if (name.n < 3 || name.n > 13 || ((name.p[0] | 32) != 'l' && (name.p[0] | 32) != 's'))
        return -1;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i].n == name.n && memcmp(names[i].p, name.p, name.n) == 0)
            return (int)i;
    return -1;
}

struct str level_of_severity(struct str number)
{
    static const struct str levels[] = {{"trace", 5}, {"debug", 5}, {"info", 4}, {"warn", 4}, {"error", 5}, {"fatal", 5}};
    uint64_t n;

    if (!str_to_u64(number, &n))
        return STR("info");
    return n >= 1 && n <= 24 ? levels[(n - 1) / 4] : STR("unknown");
}

/* --- the words of a line --------------------------------------------------------------------------- */

static inline bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '_';
}

/* A level that begins at p, where a word begins. */
static struct str word_at(const char *p, const char *end)
{
    static const struct {
        struct str word, level;
    } all[] = {
        {{"trace", 5}, {"trace", 5}}, {{"debug", 5}, {"debug", 5}}, {{"fatal", 5}, {"fatal", 5}},
        {{"critical", 8}, {"critical", 8}}, {{"error", 5}, {"error", 5}}, {{"err", 3}, {"error", 5}},
        {{"warning", 7}, {"warn", 4}}, {{"warn", 4}, {"warn", 4}}, {{"info", 4}, {"info", 4}},
    };
    size_t n = 0;

    while (n < 9 && p + n < end && is_word_byte(p[n]))
        n++;
    for (size_t i = 0; n >= 3 && i < ARRAY_LEN(all); i++)
        if (all[i].word.n == n && (p[0] | 32) == all[i].word.p[0] && str_eq_nocase(str_n(p, n), all[i].word))
            return all[i].level;
    return STR_NULL;
}

static struct str check_at(const char *start, const char *p, const char *end)
{
    return p > start && is_word_byte(p[-1]) ? STR_NULL : word_at(p, end);
}

#ifdef __SSE2__
/* Places among the 16 at p where the first two letters of a level stand, in any case. Reads 17 bytes. */
static unsigned pairs_at(const char *p)
{
    static const char pairs[7][2] = {{'e', 'r'}, {'w', 'a'}, {'i', 'n'}, {'d', 'e'}, {'f', 'a'}, {'c', 'r'}, {'t', 'r'}};
    const __m128i fold = _mm_set1_epi8(32);
    __m128i a = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)p), fold);
    __m128i b = _mm_or_si128(_mm_loadu_si128((const __m128i *)(const void *)(p + 1)), fold), any = _mm_setzero_si128();

    for (int i = 0; i < 7; i++)
        any = _mm_or_si128(any, _mm_and_si128(_mm_cmpeq_epi8(a, _mm_set1_epi8(pairs[i][0])), _mm_cmpeq_epi8(b, _mm_set1_epi8(pairs[i][1]))));
    return (unsigned)_mm_movemask_epi8(any);
}
#endif

#if defined(__x86_64__) && defined(__GNUC__)
/*
 * The same of 32 places; reads 33 bytes. A bit for each of the seven pairs, by the low and the high half of the letter: a place has one
 * where its own letter and the next one have the same bit.
 */
enum { ER = 1, WA = 2, IN = 4, DE = 8, FA = 16, CR = 32, TR = 64 };

__attribute__((target("avx2"))) static inline __m256i bits_of(__m256i x, __m128i by_low, __m128i by_high)
{
    const __m256i half = _mm256_set1_epi8(15);
    __m256i low = _mm256_and_si256(x, half), high = _mm256_and_si256(_mm256_srli_epi16(x, 4), half);

    return _mm256_and_si256(_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(by_low), low), _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(by_high), high));
}

/* The first place of [p, end) that may begin a level, as far as there are 33 bytes; else where that ends. */
__attribute__((target("avx2"))) static const char *find_pair_avx2(const char *p, const char *end)
{
    const __m128i first_low = _mm_setr_epi8(0, 0, 0, CR, DE | TR, ER, FA, WA, 0, IN, 0, 0, 0, 0, 0, 0);
    const __m128i first_high = _mm_setr_epi8(0, 0, 0, 0, 0, 0, ER | IN | DE | FA | CR, WA | TR, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m128i then_low = _mm_setr_epi8(0, WA | FA, ER | CR | TR, 0, 0, DE, 0, 0, 0, 0, 0, 0, 0, 0, IN, 0);
    const __m128i then_high = _mm_setr_epi8(0, 0, 0, 0, 0, 0, WA | FA | DE | IN, ER | CR | TR, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i fold = _mm256_set1_epi8(32);

    for (; end - p >= 33; p += 32) {
        __m256i a = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(const void *)p), fold);
        __m256i b = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(const void *)(p + 1)), fold);
        __m256i both = _mm256_and_si256(bits_of(a, first_low, first_high), bits_of(b, then_low, then_high));
        unsigned m = ~(unsigned)_mm256_movemask_epi8(_mm256_cmpeq_epi8(both, _mm256_setzero_si256()));

        if (m)
            return p + __builtin_ctz(m);
    }
    return p;
}
#endif

static struct str level_in_words(struct str line)
{
    const char *p = line.p, *end = p + line.n;
    struct str found;

#if defined(__x86_64__) && defined(__GNUC__)
    if (__builtin_cpu_supports("avx2"))
        for (; end - (p = find_pair_avx2(p, end)) >= 33; p++)
            if ((found = check_at(line.p, p, end)).p)
                return found;
#endif
#ifdef __SSE2__
    for (; end - p >= 17; p += 16)
        for (unsigned m = pairs_at(p); m; m &= m - 1) {
            found = check_at(line.p, p + __builtin_ctz(m), end);
            if (found.p)
                return found;
        }
#endif
    for (; p < end; p++) {
        char c = *p | 32;

        if ((c == 'e' || c == 'w' || c == 'i' || c == 'd' || c == 'f' || c == 'c' || c == 't') && (found = check_at(line.p, p, end)).p)
            return found;
    }
    return STR("unknown");
}

/* --- the fields of a JSON object ------------------------------------------------------------------- */

static const char *string_end(const char *p, const char *end) /* behind the opening quote: at the closing one, or end */
{
    bool escaped;

    p = json_string_end(p, end, &escaped);
    return p ? p : end;
}

static inline const char *space_end(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ')
        p++;
    return p;
}

/* Behind the bracket that closes the one at p, or NULL. */
static const char *nested_end(const char *p, const char *end)
{
    size_t depth = 0;

    for (; p < end; p++) {
        if (*p == '"') {
            p = string_end(p + 1, end);
            if (p == end)
                return NULL;
        } else if (*p == '{' || *p == '[') {
            depth++;
        } else if ((*p == '}' || *p == ']') && --depth == 0) {
            return p + 1;
        }
    }
    return NULL;
}

/* The first field of a level's name with a string for a value. p: behind the first bracket. */
static struct str level_in_json(const char *p, const char *end)
{
    unsigned depth = 1;

    while (depth) {
        struct str key, value;
        const char *q;

        p = space_end(p, end);
        if (p < end && (*p == ',' || *p == '}')) {
            depth -= *p++ == '}';
            continue;
        }
        if (p == end || *p != '"')
            return STR_NULL;
        q = string_end(p + 1, end);
        key = str_n(p + 1, (size_t)(q - p - 1));
        p = q < end ? space_end(q + 1, end) : end;
        if (p == end || *p != ':')
            return STR_NULL;
        p = space_end(p + 1, end);
        if (p == end)
            return STR_NULL;
        if (*p == '"') {
            q = string_end(p + 1, end);
            value = str_n(p + 1, (size_t)(q - p - 1));
            if (q == end)
                return STR_NULL;
            if (level_field_rank(key) >= 0)
                return value;
            p = q + 1;
        } else if (*p == '{' && depth < DEPTH_MAX) {
            depth++;
            p++;
        } else if (*p == '{' || *p == '[') {
            p = nested_end(p, end);
            if (!p)
                return STR_NULL;
        } else {
            while (p < end && *p != ',' && *p != '}')
                p++;
        }
    }
    return STR_NULL;
}

/* --- the fields of logfmt -------------------------------------------------------------------------- */

/* The first '=', '"' or blank (any byte up to a space) in [p, end), or end. */
static const char *find_mark(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i equals = _mm_set1_epi8('='), quote = _mm_set1_epi8('"'), blank = _mm_set1_epi8(' ');

    for (; end - p >= 16; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, equals), _mm_cmpeq_epi8(v, quote));
        int m = _mm_movemask_epi8(_mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(v, blank), v)));

        if (m)
            return p + __builtin_ctz((unsigned)m);
    }
#endif
    while (p < end && (unsigned char)*p > ' ' && *p != '=' && *p != '"')
        p++;
    return p;
}

/* Pairs are taken until something is no logfmt. */
static struct str level_in_logfmt(const char *p, const char *end)
{
    while ((p = space_end(p, end)) < end) {
        const char *q = find_mark(p, end);
        struct str key = str_n(p, (size_t)(q - p)), value;

        if (q == end)
            return STR_NULL;
        p = q + 1;
        if (*q == '"' || (*q == '=' && key.n == 0))
            return STR_NULL;
        if (*q != '=' || p == end || (unsigned char)*p <= ' ')
            continue; /* a key alone */
        if (*p == '"') {
            q = string_end(p + 1, end);
            if (q == end)
                return STR_NULL;
            value = str_n(p + 1, (size_t)(q - p - 1));
            p = q + 1;
        } else {
            q = find_mark(p, end);
            if (q < end && (unsigned char)*q > ' ')
                return STR_NULL;
            value = str_n(p, (size_t)(q - p));
            p = q;
        }
        if (level_field_rank(key) >= 0)
            return value;
    }
    return STR_NULL;
}

struct str level_of_line(struct str line)
{
    const char *p, *end;
    struct str found = STR_NULL;

    if (line.n == 0)
        return STR("unknown");
    p = space_end(line.p, line.p + line.n);
    end = line.p + line.n;
    while (end > p && (unsigned char)end[-1] <= ' ')
        end--;
    if (end - p >= 2 && *p == '{' && end[-1] == '}')
        found = level_in_json(p + 1, end);
    else if (memchr(p, '=', (size_t)(end - p)))
        found = level_in_logfmt(p, end);
    if (found.n)
        found = level_word(found);
    return found.n ? found : level_in_words(line);
}
