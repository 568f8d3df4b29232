#!/usr/bin/env python3
"""Writes crates/webinar/tests/recurrence-vectors.json: recurrence rules with the dates python-dateutil gives.

Run it from anywhere; the output is the same every time. Needs python-dateutil 2.9.

A line is [rule, start, first date, steps]: the sessions are the first date and then one more after each so
many days, all at the start's time of day. What is left out because we follow RFC 5545 where dateutil does
not: plain and numbered weekdays in one BYDAY (a union, not an intersection). An UNTIL that is a date means
the whole day, so dateutil is given that day's last second.
"""

import datetime
import json
import pathlib
import random
import warnings

from dateutil import rrule

SEED = 20240315
RULES = 2600
SESSIONS_MAX = 1000
HORIZON_YEARS = 99  # one less than ours, to stay clear of its edge
OUT = pathlib.Path(__file__).resolve().parent.parent / "crates/webinar/tests/recurrence-vectors.json"

WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
# The examples of RFC 5545, section 3.8.5.3, that are made of days; endless ones were given an end.
RFC_EXAMPLES = [
    ("FREQ=DAILY;COUNT=10", "1997-09-02"),
    ("FREQ=DAILY;UNTIL=19971224T000000Z", "1997-09-02"),
    ("FREQ=DAILY;INTERVAL=2;COUNT=40", "1997-09-02"),
    ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02"),
    ("FREQ=YEARLY;UNTIL=20000131T140000Z;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA", "1998-01-01"),
    ("FREQ=DAILY;UNTIL=20000131T140000Z;BYMONTH=1", "1998-01-01"),
    ("FREQ=WEEKLY;COUNT=10", "1997-09-02"),
    ("FREQ=WEEKLY;UNTIL=19971224T000000Z", "1997-09-02"),
    ("FREQ=WEEKLY;INTERVAL=2;WKST=SU;COUNT=30", "1997-09-02"),
    ("FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH", "1997-09-02"),
    ("FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR", "1997-09-01"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", "1997-09-02"),
    ("FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "1997-09-05"),
    ("FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", "1997-09-07"),
    ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "1997-09-22"),
    ("FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=20", "1997-09-28"),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15", "1997-09-02"),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1", "1997-09-30"),
    ("FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15", "1997-09-10"),
    ("FREQ=MONTHLY;INTERVAL=2;BYDAY=TU;COUNT=30", "1997-09-02"),
    ("FREQ=YEARLY;COUNT=10;BYMONTH=6,7", "1997-06-10"),
    ("FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3", "1997-03-10"),
    ("FREQ=YEARLY;BYDAY=20MO;COUNT=10", "1997-05-19"),
    ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH;COUNT=20", "1997-03-13"),
    ("FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8;COUNT=40", "1997-06-05"),
    ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=10", "1997-09-02"),
    ("FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13;COUNT=10", "1997-09-13"),
    ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=10", "1996-11-05"),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04"),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=20", "1997-09-29"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08-05"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08-05"),
    ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007-01-15"),
]


def horizon(start):
    return start.replace(year=start.year + HORIZON_YEARS, day=min(start.day, 28))


def expand(rule, start):
    """The sessions by dateutil, or None where the rule does not give 1 to SESSIONS_MAX of them."""
    parts = dict(part.split("=") for part in rule.split(";"))
    until = parts.pop("UNTIL", None)
    count = int(parts.pop("COUNT", 0)) or None
    last = horizon(start)
    if until is not None:
        text = until.rstrip("Z") if "T" in until else until + "T235959"
        last = datetime.datetime.strptime(text, "%Y%m%dT%H%M%S")
        if last < start:
            return None
    # The horizon as a second end keeps impossible rules from running to the year 9999.
    spec = ";".join(f"{name}={value}" for name, value in parts.items())
    spec += f";UNTIL={last:%Y%m%dT%H%M%S}" + (f";COUNT={count}" if count else "")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        sessions = rrule.rrulestr(spec, dtstart=start)
    found = []
    for session in sessions:
        found.append(session)
        if len(found) > SESSIONS_MAX:
            return None
    return found if found and count in (None, len(found)) else None


def pick(chance, values, most):
    return sorted(chance.sample(values, chance.randint(1, min(most, len(values)))))


def listed(values):
    return ",".join(str(value) for value in values)


def numbered_weekdays(chance, within_month):
    most = 5 if within_month else 53
    numbers = [n for n in range(-most, most + 1) if n != 0]
    return ",".join(f"{chance.choice(numbers)}{day}" for day in chance.sample(WEEKDAYS, chance.randint(1, 3)))


def make_parts(chance):
    """The parts of a rule but its end."""
    freq = chance.choice(["DAILY", "WEEKLY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY"])
    parts = {"FREQ": freq}
    if chance.random() < 0.45:
        parts["INTERVAL"] = chance.choice([1, 2, 2, 3, 4, 5, 6, 7, 12, 13, chance.randint(1, 40)])
    if chance.random() < 0.3:
        parts["WKST"] = chance.choice(WEEKDAYS)
    if chance.random() < (0.5 if freq == "YEARLY" else 0.2):
        parts["BYMONTH"] = listed(pick(chance, range(1, 13), 5))
    if freq != "WEEKLY" and chance.random() < 0.4:
        days = [n for n in range(-31, 32) if n != 0]
        parts["BYMONTHDAY"] = listed(pick(chance, days, chance.choice([2, 6, 20])))
    if chance.random() < 0.55:
        if freq in ("MONTHLY", "YEARLY") and chance.random() < 0.6:
            parts["BYDAY"] = numbered_weekdays(chance, freq == "MONTHLY" or "BYMONTH" in parts)
        else:
            parts["BYDAY"] = ",".join(chance.sample(WEEKDAYS, chance.randint(1, 5)))
    selects = any(name in parts for name in ("BYMONTH", "BYMONTHDAY", "BYDAY"))
    if selects and chance.random() < 0.35:
        most = {"DAILY": 1, "WEEKLY": 5, "MONTHLY": 12, "YEARLY": 60}[freq]
        positions = [n for n in range(-most, most + 1) if n != 0]
        parts["BYSETPOS"] = listed(pick(chance, positions, 4))
    return parts


def make(chance):
    """A rule and a start."""
    day = datetime.date(2000, 1, 1) + datetime.timedelta(days=chance.randrange(40 * 366))
    if chance.random() < 0.15:
        month = chance.choice([1, 2, 12])
        day = day.replace(month=month, day=chance.choice([28, 29, 31] if month != 2 else [27, 28]))
    if chance.random() < 0.05:
        day = datetime.date(chance.randrange(2000, 2040, 4), 2, 29)
    time = datetime.time(chance.randrange(24), chance.randrange(60), chance.choice([0, 0, 0, chance.randrange(60)]))
    start = datetime.datetime.combine(day, time)
    parts = make_parts(chance)
    if chance.random() < 0.6:
        parts["COUNT"] = chance.choice([1, 2, 3, 5, 8, 10, 20, chance.randint(1, 60), chance.randint(1, 60)])
        if chance.random() < 0.01:
            parts["COUNT"] = SESSIONS_MAX
    else:
        length = {"DAILY": 120, "WEEKLY": 600, "MONTHLY": 2500, "YEARLY": 12000}[parts["FREQ"]]
        until = start + datetime.timedelta(days=chance.randint(0, length), seconds=chance.choice([-1, 0, 1, 40000]))
        parts["UNTIL"] = until.strftime(chance.choice(["%Y%m%d", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%SZ"]))
    names = list(parts)[1:]
    chance.shuffle(names)
    return ";".join(f"{name}={parts[name]}" for name in ["FREQ", *names]), start


def line(rule, start, sessions):
    dates = [session.date() for session in sessions]
    steps = [(later - earlier).days for earlier, later in zip(dates, dates[1:])]
    return json.dumps([rule, start.strftime("%Y-%m-%dT%H:%M:%S"), dates[0].isoformat(), steps], separators=(",", ":"))


def main():
    chance = random.Random(SEED)
    lines = []
    for rule, date in RFC_EXAMPLES:
        start = datetime.datetime.fromisoformat(date + "T09:00:00")
        lines.append(line(rule, start, expand(rule, start)))
    while len(lines) < RULES:
        rule, start = make(chance)
        sessions = expand(rule, start)
        if sessions is not None:
            lines.append(line(rule, start, sessions))
    OUT.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(f"{len(lines)} rules, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
