"""What a licence in words allows, and that no shipped card claims more than its sources."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeemo import cli
from edgeemo.artifacts import models
from edgeemo.artifacts.card import Source
from edgeemo.artifacts.licences import terms_of, verdict, verdict_of, weights_licence


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("CC0 1.0", "may be sold"),
        ("CC0 1.0 (said of the data base)", "may be sold"),
        ("CC BY 4.0", "may be sold"),
        ("Apache-2.0", "may be sold"),
        ("ODbL 1.0 and DbCL 1.0", "may be sold"),
        ("whisper: MIT; votes: CC0 1.0", "may be sold"),
        ("CC BY-SA 4.0", "may be sold"),
        ("CC BY-NC-SA 4.0", "research only"),
        ("CC BY-NC-ND 4.0", "research only"),
        ("MIT (research only)", "research only"),
        ("research use; no licence stated", "research only"),
        ("votes MIT; pictures research use, rights not settled", "research only"),
        ("OpenRAIL; its card says no commercial use", "research only"),
        ("not stated", "not known"),
        ("MIT by its card; the WavLM weights it starts from: not settled", "not known"),
        ("FunASR model licence; of the weights themselves: not stated", "not known"),
        ("ask the authors", "not known"),
        ("MIT and ask the authors", "not known"),
        ("", "not known"),
    ],
)
def test_a_model_is_as_free_as_the_least_free_that_taught_it(licence: str, allowed: str) -> None:
    found = verdict([Source("a", "CC0 1.0"), Source("b", licence), Source("c", "MIT")])
    assert found.allowed == allowed
    made = weights_licence([Source("a", "CC0 1.0"), Source("b", licence)])
    if allowed == "may be sold":
        assert made == ("CC BY-SA 4.0" if "SA" in licence else "Apache-2.0")
    else:
        assert found.why == f"b: {licence}"
        assert f"b: {licence}" in made
        # What a model's card says of itself binds what it teaches in turn.
        assert verdict([Source("student", made)]).allowed == allowed


def test_silence_never_lifts_what_another_forbids() -> None:
    for pair in (("not stated", "CC BY-NC 4.0"), ("CC BY-NC 4.0", "not stated")):
        assert verdict([Source(x, x) for x in pair]).allowed == "research only"
        assert terms_of("; ".join(pair)).forbids
    assert verdict([]).allowed == "not known"


def test_obligations_add_up() -> None:
    assert not terms_of("CC0 1.0").attribution
    both = terms_of("CC0 1.0") & terms_of("CC BY-SA 4.0")
    assert both.attribution and both.share_alike and both.commerce
    assert not terms_of("ODbL 1.0").share_alike


def test_no_shipped_card_says_more_than_its_sources_allow() -> None:
    """Nor does it forget whom it must name."""
    for model in models.shipped():
        card = model.card
        sources = (*card.teachers, *card.data)
        assert card.data and card.teachers, model.name
        found = verdict(sources)
        own = terms_of(card.licence)
        if found.allowed != "may be sold":
            assert not own.commerce, f"{model.name}: {card.licence}, but {found}"
        for source in card.data if own.commerce else ():
            if terms_of(source.licence).attribution:
                assert card.attributions, f"{model.name} names nobody, but {source} asks for it"


def test_a_card_that_claims_more_than_its_sources_is_seen(artifact) -> None:
    card = models.card_of(artifact)
    bound = replace(card, licence="MIT", data=(Source("nemo", "CC BY-NC-SA 4.0"),))
    assert verdict_of(bound).allowed == "research only"
    free = replace(card, licence="MIT", data=(Source("b", "CC BY 4.0"),), teachers=())
    assert verdict_of(free).allowed == "may be sold"
    assert verdict_of(replace(free, licence="research only")).allowed == "research only"


def test_a_notice_names_everybody_and_is_refused_for_research(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for model in models.shipped():
        status = cli.main(["notice", model.name])
        said = capsys.readouterr()
        if verdict_of(model.card).allowed == "may be sold":
            assert status == 0
            flat = " ".join(said.out.split())
            for text in model.card.attributions:
                assert text.split(".")[0] in flat
        else:
            assert status == 2 and "no product may contain it" in said.err
