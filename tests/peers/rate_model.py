"""rate_model.py - rate and increase of counters that begin at zero, against their definition in Prometheus 3.

2.42 cuts the extrapolation at zero before it looks whether the window begins long before the first sample, 3 does so after; so the
peer cannot be the judge. The samples are asked for as they are, and the definition is worked out here.
"""
import json
import random


def increase(samples, start, end):
    """Of samples [(ms, value)] in (start, end], or None. Whole milliseconds: seconds as floats would lose nine digits in a difference."""
    if len(samples) < 2:
        return None
    (first_t, first), (last_t, last) = samples[0], samples[-1]
    raw = last - first + sum(a for (_, a), (_, b) in zip(samples, samples[1:]) if b < a)
    sampled = last_t - first_t
    average = sampled / (len(samples) - 1)
    to_start, to_end = first_t - start, end - last_t
    if to_start >= average * 1.1:
        to_start = average / 2
    if raw > 0 and first >= 0:
        to_start = min(to_start, sampled * first / raw)
    if to_end >= average * 1.1:
        to_end = average / 2
    return raw * (sampled + to_start + to_end) / sampled


def answer(asker, query, at):
    """{label set: value or samples}"""
    status, body = asker.ask(query, {"time": at})
    assert status == 200, (query, body)
    out = {}
    for s in json.loads(body)["data"]["result"]:
        labels = tuple(sorted((k, v) for k, v in s["metric"].items() if k != "__name__"))
        out[labels] = [(round(t * 1000), float(v)) for t, v in s["values"]] if "values" in s else float(s["value"][1])
    return out


def check(asker, seed, start, end, rounds):
    """Differences, as sentences."""
    rnd, found = random.Random(seed), []
    for _ in range(rounds):
        at, seconds = rnd.randrange(start, end + 300), rnd.choice((31, 45, 60, 90, 120, 300, 700, 1800))
        windows = answer(asker, f"zero_total[{seconds}s]", at)
        increases, rates = answer(asker, f"increase(zero_total[{seconds}s])", at), answer(asker, f"rate(zero_total[{seconds}s])", at)
        for labels in set(windows) | set(increases) | set(rates):
            want = increase(windows.get(labels, []), (at - seconds) * 1000, at * 1000)
            for name, got, wanted in (("increase", increases.get(labels), want), ("rate", rates.get(labels), None if want is None else want / seconds)):
                if (got is None) != (wanted is None) or (got is not None and abs(got - wanted) > 1e-9 * max(abs(got), abs(wanted))):
                    found.append(f"{name}(zero_total{dict(labels)}[{seconds}s]) at {at}: {got}, by its definition {wanted}")
    return found
