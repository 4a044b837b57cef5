"""Random captions as people write them, with the usual mistakes."""

import random

THINGS = """man|woman|giraffe|stop sign|t-shirt|cell phone|fire hydrant|8-year-old boy|2-story building|man's dog|TV
dogs' toys|x-ray machine|No. 5 bus|St. Bernard|Dr. Pepper can|B&W photo|U.S. flag|t.v.|T.V. set|McDonald's cup
teddy bear|'70s van|1950's car|half-eaten sandwich|1/2 pizza|5' tall lady|café table|women's room|rock 'n' roll band
s'mores|5.5-foot snake|24-hour clock|1,000 candles|#1 fan|$5 bill|pair of size 9 1/2 shoes|o'clock sign|hors d'oeuvre
mother/daughter pair|16th Ave. sign|Wal-Mart truck|12:30 train|number 23 jersey|100% cotton shirt|C-3PO figure"""
DOES = """riding|is riding|isn't riding|can't see|doesn't like|cannot reach|wasn't near|who's holding|that's on|there's
they're watching|he'd like|we've got|gonna eat|wanna pet|looks at|standing next to|sitting on top of|w/o|w/|and/or|vs.
in front of|going 50 mph past|at 3:30 p.m. with|that says "STOP" near|(maybe) behind|- or is it -|& also|eatin'
--seen from above--|who ain't|I'm sure it's|wouldn't've|, with|; then|: possibly|...and|approx. 3 miles from"""
ENDS = """|.|.|.|..|...|!|!!|?|.'|."|".| etc.| .|. |,|;|:|-| on Elm St.| at 5 p.m.| in Washington, D.C.|...etc|?!|)."""
NOISE = (
    (" , ", ","),
    (" a ", "  a "),
    ("n't", "n’t"),
    ("'s ", "’s "),
    ('"', "“"),
    (" ", ", "),
    ("-", "–"),
    ("n't", "nt"),
)


def caption(seed):
    """One of endlessly many captions; the same for the same seed."""
    rng = random.Random(seed)

    def one_of(text):
        return rng.choice(text.replace("\n", "|").split("|"))

    words = []
    for _ in range(rng.randint(1, 3)):
        words += [one_of("a|A|The|two|An|this|some"), one_of(THINGS), one_of(DOES)]
    text = " ".join([*words, one_of("a|the"), one_of(THINGS)]) + one_of(ENDS)
    for old, new in NOISE:
        if rng.random() < 0.08:
            text = text.replace(old, new, rng.randint(1, 2))
    if rng.random() < 0.1:
        text = text.upper()
    if rng.random() < 0.1:
        text = f"{one_of(THINGS)}.{text}"
    return text
