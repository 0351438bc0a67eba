"""Write docs/comparison.md: for each method what ours gives beside the value worked out by hand, and who else has it.

python -m scripts.compare_methods
"""

from pathlib import Path

from saddlepoint.methods import parts_of_networks, registered
from scripts.hand_checked import QUESTIONS, Question
from scripts.peers import LOOKED_AT, PEERS

# Names that gather others, what torch itself brings, and what nobody does without.
EVERYWHERE = ("gradient", "mlp", "adam", "rmsprop", "sgd", "plateau", "alternating", "batch", "layer")
PAGE = Path(__file__).parent.parent / "docs" / "comparison.md"

OPENING = """# Beside the formula, and beside other libraries

Written by `python -m scripts.compare_methods`; a test holds that this page is what it writes and that every value agrees.

## What a method gives on a few small tensors

The third column is the formula of the paper, worked out by hand; the fourth is what the function of this package gave when the page
was written.

| method | asked | worked out | ours |
| --- | --- | --- | --- |
"""

SECOND = f"""
## Who has it

Public libraries of many GAN methods at their newest commits as of {LOOKED_AT}: the file in which a method stands. A method that is
missing in a column was not found there by its name or its paper. What stands in a repository of one paper is not listed. No value
was taken from these libraries: the question is only who has a method.
"""


def text() -> str:
    """The page as it should be."""
    asked = [f"| {ask.method} | {ask.asked} | {ask.worked_out} = {_shown(ask.expected)} | {_given(ask)} |" for ask in QUESTIONS]
    return OPENING + "\n".join(asked) + "\n" + SECOND + "\n" + "\n".join(_peers())


def _given(ask: Question) -> str:
    return _shown(ask.ours().detach().tolist())


def _shown(numbers: object) -> str:
    if isinstance(numbers, list | tuple):
        return ", ".join(_shown(number) for number in numbers)
    return f"{round(float(str(numbers)), 6) + 0.0:.6g}"


def _peers() -> list[str]:
    names = [entry.name for entry in registered() + parts_of_networks() if entry.name not in EVERYWHERE]
    lines = [f"| method | {' | '.join(f'[{peer.repository}](https://github.com/{peer.repository})' for peer in PEERS)} |"]
    lines += ["| --- |" + " --- |" * len(PEERS)]
    lines += [f"| newest commit | {' | '.join(f'{peer.commit}, {peer.date}' for peer in PEERS)} |"]
    for name in dict.fromkeys(names):
        cells = [f"`{peer.methods[name]}`" if name in peer.methods else "" for peer in PEERS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    alone = [name for name in dict.fromkeys(names) if not any(name in peer.methods for peer in PEERS)]
    return [*lines, "", f"{len(alone)} of {len(set(names))} are in none of them: {', '.join(alone)}.", ""]


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
