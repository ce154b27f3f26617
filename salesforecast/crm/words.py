"""The names of months and weekdays in the languages in which exports write them, and digits of other scripts."""

from __future__ import annotations

import unicodedata
from functools import cache

# In the order of the calendar; forms of one month stand together. Beginnings of three letters and more are known too.
MONTHS = (
    "january february march april may june july august september october november december",
    "január február március április május június július augusztus szeptember október november december",
    "januar februar mars april mai juni juli august september oktober november desember",
    "ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اکتبر نوامبر دسامبر",
    "一月 二月 三月 四月 五月 六月 七月 八月 九月 十月 十一月 十二月",
    "січень лютий березень квітень травень червень липень серпень вересень жовтень листопад грудень",
    "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
)
# The Persian calendar's own months.
PERSIAN = "فروردین اردیبهشت خرداد تیر مرداد شهریور مهر آبان آذر دی بهمن اسفند"
WEEKDAYS = (
    "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur thurs fri sat sun "
    "hétfő kedd szerda csütörtök péntek szombat vasárnap "
    "mandag tirsdag onsdag torsdag fredag lørdag søndag man tir ons tor fre lør søn "
    "شنبه یکشنبه دوشنبه سه‌شنبه چهارشنبه پنجشنبه جمعه "
    "星期一 星期二 星期三 星期四 星期五 星期六 星期日 星期天 周一 周二 周三 周四 周五 周六 周日 "
    "понеділок вівторок середа середу четвер пʼятниця пʼятницю субота суботу неділя неділю пн вт ср чт пт сб нд"
)
# Digits and signs of numbers in Persian, Arabic and full-width writing.
DIGITS = str.maketrans(
    "۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩０１２３４５６７８９٫٬．，／－：％＄￥　",
    "0123456789" * 3 + ".,.,/-:%$¥ ",
)


def folded(word: str) -> str:
    """A word without case, accents, apostrophes and joiners; Arabic letters as Persian ones."""
    word = word.casefold().translate(str.maketrans("يك", "یک", "\u200c\u200d'’ʼ`."))
    return "".join(ch for ch in unicodedata.normalize("NFKD", word) if not unicodedata.combining(ch))


@cache
def months() -> dict[str, int]:
    """Each name of a month, and each of its beginnings that is no other month's -> 1 to 12; Persian ones -> 13 to 24."""
    whole: dict[str, int] = {}
    for line, shift in [*((m, 0) for m in MONTHS), (PERSIAN, 12)]:
        for number, name in enumerate(line.split(), start=1 + shift):
            whole[folded(name)] = number
    whole |= {f"{number}月": number for number in range(1, 13)}
    short: dict[str, set[int]] = {}
    for name, number in whole.items():
        if number <= 12 and name[0].isalpha() and "月" not in name:
            for end in range(3, len(name)):
                short.setdefault(name[:end], set()).add(number)
    return {**{name: numbers.pop() for name, numbers in short.items() if len(numbers) == 1}, **whole}


@cache
def weekdays() -> frozenset[str]:
    """The names of the days of the week, folded."""
    return frozenset(folded(w) for w in WEEKDAYS.split())
