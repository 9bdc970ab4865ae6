/* layout.c - see layout.h. */
#include "base/template/layout.h"

#include "base/base.h"

const char *const layout_months[12] = {"January", "February", "March",     "April",   "May",      "June",
                                       "July",    "August",   "September", "October", "November", "December"};
const char *const layout_weekdays[7] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

/* By first letter, longest first. */
static const struct {
    const char *text;
    enum layout_part part;
} parts[] = {
    {"January", LAYOUT_LONG_MONTH}, {"Jan", LAYOUT_MONTH},        {"Monday", LAYOUT_LONG_WEEKDAY}, {"Mon", LAYOUT_WEEKDAY},
    {"MST", LAYOUT_ZONE_NAME},      {"01", LAYOUT_ZERO_MONTH},    {"002", LAYOUT_ZERO_YEARDAY},    {"02", LAYOUT_ZERO_DAY},
    {"03", LAYOUT_ZERO_HOUR12},     {"04", LAYOUT_ZERO_MINUTE},   {"05", LAYOUT_ZERO_SECOND},      {"06", LAYOUT_YEAR},
    {"15", LAYOUT_HOUR},            {"1", LAYOUT_NUM_MONTH},      {"2006", LAYOUT_LONG_YEAR},      {"2", LAYOUT_DAY},
    {"__2", LAYOUT_UNDER_YEARDAY},  {"_2", LAYOUT_UNDER_DAY},     {"3", LAYOUT_HOUR12},            {"4", LAYOUT_MINUTE},
    {"5", LAYOUT_SECOND},           {"PM", LAYOUT_UPPER_PM},      {"pm", LAYOUT_PM},               {"-070000", LAYOUT_ZONE},
    {"-07:00:00", LAYOUT_ZONE},     {"-0700", LAYOUT_ZONE},       {"-07:00", LAYOUT_ZONE},         {"-07", LAYOUT_ZONE},
    {"Z070000", LAYOUT_ZONE},       {"Z07:00:00", LAYOUT_ZONE},   {"Z0700", LAYOUT_ZONE},          {"Z07:00", LAYOUT_ZONE},
    {"Z07", LAYOUT_ZONE},
};

static bool is_digit(struct str s, size_t i)
{
    return i < s.n && s.p[i] >= '0' && s.p[i] <= '9';
}

static enum layout_part at(struct str s, size_t *len)
{
    size_t i = 1;

    if (s.n == 0 || !strchr("JM01_2345Pp-Z.,", s.p[0]) || s.p[0] == 0)
        return LAYOUT_NONE;
    if ((s.p[0] == '.' || s.p[0] == ',') && s.n > 1 && (s.p[1] == '0' || s.p[1] == '9')) {
        while (i < s.n && s.p[i] == s.p[1])
            i++;
        *len = i;
        return is_digit(s, i) ? LAYOUT_NONE : s.p[1] == '0' ? LAYOUT_FRACTION0 : LAYOUT_FRACTION9;
    }
    if (str_starts(s, STR("_2006"))) /* an underscore and a year */
        return LAYOUT_NONE;
    for (size_t k = 0; k < ARRAY_LEN(parts); k++) {
        if (!str_starts(s, str_of(parts[k].text)))
            continue;
        *len = strlen(parts[k].text);
        if (parts[k].part == LAYOUT_MONTH && s.n > 3 && s.p[3] >= 'a' && s.p[3] <= 'z')
            return LAYOUT_NONE; /* January is tried before; Janus is text */
        if (parts[k].part == LAYOUT_WEEKDAY && s.n > 3 && s.p[3] >= 'a' && s.p[3] <= 'z')
            return LAYOUT_NONE;
        return parts[k].part;
    }
    return LAYOUT_NONE;
}

enum layout_part layout_next(struct str *layout, struct str *before, struct str *text)
{
    for (size_t i = 0; i < layout->n; i++) {
        size_t len = 0;
        enum layout_part part = at(str_from(*layout, i), &len);

        if (part == LAYOUT_NONE)
            continue;
        *before = str_head(*layout, i);
        *text = str_n(layout->p + i, len);
        *layout = str_from(*layout, i + len);
        return part;
    }
    *before = *layout;
    *text = *layout = str_from(*layout, layout->n);
    return LAYOUT_NONE;
}
