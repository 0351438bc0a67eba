"""Every method gives what its formula does, and the page of it is what the script writes."""

import pytest
import torch
from scripts.compare_methods import PAGE, text
from scripts.hand_checked import QUESTIONS, Question
from scripts.peers import PEERS

from saddlepoint.methods import Entry, parts_of_networks, registered

# What has no number of its own to check by hand: families, whole pictures, and how a round goes without any change.
WITHOUT_A_NUMBER = ("networks", "rates")
PICTURES = ("diffaugment", "ada-lite", "adaptive-instance-noise")
AS_THEY_ARE = ("alternating",)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: f"{question.method} {question.asked}")
def test_ours_is_what_the_formula_gives(question: Question) -> None:
    expected = torch.as_tensor(question.expected, dtype=torch.float64)
    torch.testing.assert_close(question.ours().detach().double(), expected, rtol=0, atol=1e-6)


def test_the_page_is_what_the_script_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == text(), "run `python -m scripts.compare_methods`"


def test_every_method_with_a_number_is_asked() -> None:
    asked = {question.method for question in QUESTIONS}
    numbered = {entry.name for entry in registered() if entry.room not in WITHOUT_A_NUMBER} - {*PICTURES, *AS_THEY_ARE}
    assert numbered - asked == set()


def test_what_others_have_is_named_as_here() -> None:
    entries: list[Entry] = registered() + parts_of_networks()
    known = {entry.name for entry in entries}
    assert {name for peer in PEERS for name in peer.methods} <= known
