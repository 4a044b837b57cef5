"""Tokenizer that splits captions into words like the COCO caption evaluation (Chen et al., arXiv:1504.00325, 2015).

COCO uses Stanford's PTBTokenizer 3.4.1 (Java), which splits as in the Penn Treebank, lower-cases the words, and removes
punctuation. This module does the same, without Java, for ordinary captions. Not supported: mail addresses, names with
rare characters, smileys, HTML other than <plain> tags, currencies other than the dollar, and single letters that end a
sentence before another one.
"""

from __future__ import annotations

import re

_PUNCTUATION = frozenset(["'", "''", "`", "``", ".", "?", "!", ",", ":", "-", "--", "...", ";", '"'])
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
"""Brackets count as words in the COCO evaluation, since it removes only their upper-case forms as punctuation."""
_PLAIN = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "–": "--", "—": "--", "…": "..."})

_ABBREVIATIONS = (
    "adj|adm|adv|ala?|alex|apr|ariz|asst|assn|atty|aug|ave|bancorp|bhd|bldg|blvd|brig|bros|calif|capt|cf|cie|cmdr|col?|colo|"
    "comdr|conn|corp|cos|cpl|ct|dak|dec|dept|det|drs?|elec|ens|esq|est|etc|ext|feb|fla|fri|ft|ga|gen|govs?|hon|inc|ind|insp|"
    "intl|invt|jan|jos|jr|jul|jun|kans?|ky|lieut|ltd?|maj|mar|md|messrs|mfg|mich|minn|mlle|mme|mo|mont?|mrs?|ms|msgr|mtg?|"
    "natl|neb|nev|nov|oct|okla|penn|pfc|ph|plc|pres|profs?|pte|pty|pvt|rd|reps?|rev|rt|sens?|sept?|seq|sfc|sgt|spc|sq|sr|ste?|"
    "supt|sys|tel|tenn|thu|thurs|tues?|univ|va|vs|vt|wed|wisc?|wm|wyo"
)
"""Abbreviations that keep their full stop, from PTBTokenizer."""

_WORD = r"(?: (?!n't(?!\w)) [^\W_] )+"
"""Letters and digits, without the end of words like don't."""
_TOKEN = re.compile(
    rf"""
      https?://\S*[^\s.,]
    | <[a-z][a-z0-9_-]*> | -[lr][rsc]b-  # <unk>, and brackets of a caption that was split before
    | (?<!\w)(?: {_ABBREVIATIONS} )\.(?!\w)
    | (?<!\w)no\.(?=[\s,]*\d)
    | (?<![\w'])(?: [^\W\d_]\. )+(?!\w)  # u.s. and single letters
    | (?-i: [A-Z]+ (?:&[A-Z]+)+ )
    | (?<!\w)(?: can(?=not\b) | (?:gon|wan)(?=na\b) | got(?=ta\b) | (?:gim|lem)(?=me\b) | y'(?=all\b) )
    | (?<!\w)'t(?=is\b|was\b)
    | (?<!\w)(?: '\d0s | 'n'? | 'em | 'til | 'cause | s'mores | c'mon | li'l | ol' | [dol]'[^\W\d_]+ )(?!\w)
    | [^\W\d_]*[aeiouy]'[aeiou][^\W\d_]*  # ma'am
    | ' (?: s | m | d | re | ve | ll )(?!\w)
    | n't(?!\w)
    | (?<!\S)-\d+
    | (?<!\w)\d* (?: (?<=\d)[.,:] | \. ) \d+ (?: [.,:]\d+ )* (?: -{_WORD} )*
    | [^\W\d_]+ (?: [.!?][^\W\d_]+ )+(?![\w'-])
    | {_WORD} (?: [-_/@] {_WORD} )*
    | [?!]+ | \.\.\. | --? | [#@][^\W\d_]{_WORD} | \*+ | _+ | [!-~°´]
    """,
    re.VERBOSE | re.IGNORECASE,
)


def tokenize(sentence: str) -> list[str]:
    """Split a caption into lower-case words without punctuation.

    Example::

        >>> tokenize("A dog doesn't run, it flies!")
        ['a', 'dog', 'does', "n't", 'run', 'it', 'flies']
    """
    found = (token.lower() for token in _TOKEN.findall(sentence.translate(_PLAIN)))
    return [_BRACKETS.get(token, token) for token in found if token not in _PUNCTUATION]
