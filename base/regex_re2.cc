/*
 * regex_re2.cc - the only C++ in the house: RE2 behind regex_re2.h. Errors are told in the words of Go's regexp
 * package, which users of these query languages know.
 */
#include "base/regex_re2.h"

#include <cstdio>
#include <re2/re2.h>
#include <string>
#include <vector>

struct re2_prog {
    RE2 re;
    std::vector<std::string> names;

    re2_prog(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options)
    {
    }
};

namespace
{
enum { MEM_MAX = 8 << 20, MEM_COUNTED = 2 << 20, SHORT_PROGRAM = 10000, GROUPS_ON_STACK = 16 };

/* x{n} or the like; or what looks like it. */
bool is_counted(const char *p, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++)
        if (p[i] == '{' && p[i + 1] >= '0' && p[i + 1] <= '9')
            return true;
    return false;
}

const char *words_of(RE2::ErrorCode code)
{
    switch (code) {
    case RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case RE2::ErrorBadCharClass:
        return "invalid character class";
    case RE2::ErrorBadCharRange:
        return "invalid character class range";
    case RE2::ErrorMissingBracket:
        return "missing closing ]";
    case RE2::ErrorMissingParen:
        return "missing closing )";
    case RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "internal error";
    }
}
} // namespace

/*
 * What RE2 does to a program takes time by the square of its length where much of it may be left out, as in x{1,1000}: of such
 * patterns a text of 2 KB made programs that took over a minute. Those that count get a quarter of the memory for programs,
 * a quarter of a minute of work at most; and all the memory for matching when it turns out that they are short.
 */
static re2_prog *compile(const re2::StringPiece &pattern, RE2::Options &o)
{
    re2_prog *r;

    if (is_counted(pattern.data(), pattern.size())) {
        o.set_max_mem(MEM_COUNTED);
        r = new re2_prog(pattern, o);
        if (!r->re.ok() || r->re.ProgramSize() > SHORT_PROGRAM)
            return r;
        delete r;
    }
    o.set_max_mem(MEM_MAX);
    return new re2_prog(pattern, o);
}

enum re2_fault re2_new(const char *p, size_t n, bool dotall, bool nocase, struct re2_prog **out, char *words,
                       size_t cap)
{
    RE2::Options o;

    o.set_log_errors(false);
    o.set_dot_nl(dotall);
    o.set_case_sensitive(!nocase);
    re2_prog *r = compile(re2::StringPiece(p, n), o);
    if (!r->re.ok()) {
        const std::string &arg = r->re.error_arg();
        enum re2_fault fault = r->re.error_code() == RE2::ErrorPatternTooLarge ? RE2_TOO_BIG : RE2_BAD;

        std::snprintf(words, cap, arg.empty() ? "%s" : "%s: `%.*s`", words_of(r->re.error_code()),
                      (int)(arg.size() > 300 ? 300 : arg.size()), arg.data());
        delete r;
        return fault;
    }
    r->names.resize((size_t)r->re.NumberOfCapturingGroups() + 1);
    for (const auto &it : r->re.CapturingGroupNames())
        r->names[(size_t)it.first] = it.second;
    *out = r;
    return RE2_FINE;
}

void re2_free(struct re2_prog *r)
{
    delete r;
}

unsigned re2_ngroups(const struct re2_prog *r)
{
    return (unsigned)r->names.size();
}

const char *re2_group_name(const struct re2_prog *r, unsigned i)
{
    return i < r->names.size() ? r->names[i].c_str() : "";
}

bool re2_match(const struct re2_prog *r, const char *p, size_t n, bool whole)
{
    return r->re.Match(re2::StringPiece(p, n), 0, n, whole ? RE2::ANCHOR_BOTH : RE2::UNANCHORED, nullptr, 0);
}

bool re2_groups(const struct re2_prog *r, const char *p, size_t n, size_t from, bool whole, struct re2_span *g,
                unsigned ngroups)
{
    re2::StringPiece small[GROUPS_ON_STACK];
    std::vector<re2::StringPiece> big;
    re2::StringPiece *sub = small;

    if (ngroups > GROUPS_ON_STACK) {
        big.resize(ngroups);
        sub = big.data();
    }
    if (!r->re.Match(re2::StringPiece(p, n), from, n, whole ? RE2::ANCHOR_BOTH : RE2::UNANCHORED, sub, (int)ngroups))
        return false;
    for (unsigned i = 0; i < ngroups; i++)
        g[i] = re2_span{sub[i].data(), sub[i].size()};
    return true;
}
