/* kahan.h - sums that do not lose the small ones: Kahan's in Neumaier's form, as upstream adds. */
#ifndef VECTOR_KAHAN_H
#define VECTOR_KAHAN_H

#include <math.h>
#include <stdbool.h>

struct kahan {
    double s, c; /* the sum is s + c */
};

static inline void kahan_add(struct kahan *k, double x)
{
    double t = k->s + x;

    if (isinf(t))
        k->c = 0;
    else if (fabs(k->s) >= fabs(x))
        k->c += (k->s - t) + x;
    else
        k->c += (x - t) + k->s;
    k->s = t;
}

static inline double kahan_sum(struct kahan k)
{
    return isinf(k.s) ? k.s : k.s + k.c;
}

/*
 * A mean: the sum over the count, until the sum would overflow; from there on the mean itself is carried on, as
 * upstream does, so that means of huge values are right and infinities stay what they are.
 */
struct mean {
    struct kahan k; /* the sum; the mean when incremental */
    double n;
    bool incremental;
};

static inline void mean_add(struct mean *m, double x)
{
    double q;

    m->n++;
    if (m->n == 1) {
        m->k = (struct kahan){x, 0};
        return;
    }
    if (!m->incremental) {
        struct kahan k = m->k;

        kahan_add(&k, x);
        if (!isinf(k.s)) {
            m->k = k;
            return;
        }
        m->incremental = true;
        m->k.s /= m->n - 1;
        m->k.c /= m->n - 1;
    }
    if (isinf(m->k.s) && ((isinf(x) && (m->k.s > 0) == (x > 0)) || isfinite(x)))
        return;
    q = (m->n - 1) / m->n;
    m->k = (struct kahan){q * m->k.s, q * m->k.c};
    kahan_add(&m->k, x / m->n);
}

static inline double mean_value(const struct mean *m)
{
    return m->incremental ? m->k.s + m->k.c : m->k.s / m->n + m->k.c / m->n;
}

#endif
