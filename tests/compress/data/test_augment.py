import numpy as np
import pytest

from edgeemo.compress.data import augment as a
from edgeemo.compress.recipes import AugmentConfig

RNG = np.random.default_rng
SAMPLE_RATE = a.SAMPLE_RATE
TONE = np.sin(2 * np.pi * 1000 * np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32) * 0.3
OTHER = (RNG(9).normal(size=SAMPLE_RATE) * 0.01).astype(np.float32)


def power(x):
    return float(np.mean(np.square(x, dtype=np.float64)))


def test_the_same_generator_gives_the_same_copy():
    every = AugmentConfig(mixup_p=1, noise_p=1, reverb_p=1, band_p=1, speed_p=1)
    one, two, three = (a.augment(TONE, RNG(s), every, lambda: OTHER)[0] for s in (1, 1, 2))
    assert np.array_equal(one, two)
    assert len(one) != len(three) or not np.array_equal(one, three)


@pytest.mark.parametrize("seed", range(8))
def test_copies_are_sound(seed):
    loud = AugmentConfig(
        gain_db=(-40, 40), noise_p=1, mixup_p=0.5, reverb_p=0.5, band_p=0.5, speed_p=0.5
    )
    for x in (TONE, np.zeros(4000, np.float32), np.ones(4000, np.float32)):
        got, _ = a.augment(x, RNG(seed), loud, lambda: OTHER)
        assert got.dtype == np.float32 and np.isfinite(got).all() and np.abs(got).max() <= 1
        assert 0.85 * len(x) < len(got) < 1.15 * len(x)


def test_use_of_the_second_clip_is_told():
    never = AugmentConfig(mixup_p=0, noise_p=0)

    def fail():
        raise AssertionError("not wanted")

    assert a.augment(TONE, RNG(0), never, fail)[1] == ""
    for part, used in (
        (AugmentConfig(mixup_p=1, noise_p=1, babble_p=1), "mixup"),
        (AugmentConfig(mixup_p=0, noise_p=1, babble_p=1), "babble"),
    ):
        assert a.augment(TONE, RNG(0), part, lambda: OTHER)[1] == used


def test_off_means_off():
    off = AugmentConfig(gain_db=(0, 0), mixup_p=0, noise_p=0, reverb_p=0, band_p=0, speed_p=0)
    assert np.array_equal(a.augment(TONE, RNG(0), off, lambda: OTHER)[0], TONE)


@pytest.mark.parametrize("snr", [-5.0, 0.0, 20.0])
def test_noise_has_the_ratio_asked_for(snr):
    noise = a.colored_noise(len(TONE), 1.0, RNG(0))
    added = a.add_at_snr(TONE, noise, snr) - TONE
    assert 10 * np.log10(power(TONE) / power(added)) == pytest.approx(snr, abs=0.01)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
def test_noise_falls_as_its_colour_says(slope):
    spectrum = np.abs(np.fft.rfft(a.colored_noise(1 << 17, slope, RNG(0)))) ** 2
    f = np.fft.rfftfreq(1 << 17, 1 / SAMPLE_RATE)
    bands = [spectrum[(f >= lo) & (f < 2 * lo)].mean() for lo in (250, 500, 1000, 2000)]
    fall = np.diff(10 * np.log10(bands))
    assert np.allclose(fall, -10 * slope * np.log10(2), atol=0.5)


def test_speed_moves_length_and_pitch():
    fast = a.change_speed(TONE, 1.1)
    assert len(fast) == pytest.approx(len(TONE) / 1.1, abs=2)
    peak = np.argmax(np.abs(np.fft.rfft(fast))) * SAMPLE_RATE / len(fast)
    assert peak == pytest.approx(1100, abs=2)


def test_reverberation_rings_and_keeps_the_level():
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[100] = 1
    wet = a.reverberate(click, 0.4, RNG(0))
    assert np.argmax(np.abs(wet)) == 100 and np.abs(wet[:100]).max() < 1e-6
    assert power(wet) == pytest.approx(power(click), rel=1e-3)
    early, late = (power(wet[100 + int(t * SAMPLE_RATE) :][:800]) for t in (0.05, 0.25))
    # 60 dB in 0.4 s are 30 dB in 0.2 s.
    assert 10 * np.log10(early / late) == pytest.approx(30, abs=3)


def test_band_limits_are_half_power():
    for hz, gain in ((300, 0.5), (3000, 0.5), (1000, 1.0)):
        x = np.sin(2 * np.pi * hz * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
        assert power(a.limit_band(x, 300, 3000)) / power(x) == pytest.approx(gain, rel=0.02)


def test_another_microphone_is_smooth_and_keeps_the_level():
    noise = a.colored_noise(1 << 16, 0.0, RNG(0))
    heard = a.another_microphone(noise, 8.0, RNG(1))
    assert power(heard) == pytest.approx(power(noise), rel=1e-3)
    gain = np.abs(np.fft.rfft(heard) / np.fft.rfft(noise))[1:]
    assert 3 < np.ptp(20 * np.log10(gain)) <= 16
    assert np.abs(np.diff(20 * np.log10(gain[64:]))).max() < 0.1
    assert np.allclose(a.another_microphone(noise, 0.0, RNG(1)), noise, atol=1e-5)


def test_gain_lies_between_its_ends():
    softer = AugmentConfig(
        gain_db=(-30, -20), noise_p=0, mixup_p=0, reverb_p=0, band_p=0, speed_p=0
    )
    falls = [
        10 * np.log10(power(a.augment(TONE, RNG(s), softer, lambda: OTHER)[0]) / power(TONE))
        for s in range(20)
    ]
    assert -30.01 <= min(falls) < -27 and -23 < max(falls) <= -19.99


def test_babble_is_of_many_voices_and_one_voice_is_the_clip():
    assert np.array_equal(a.babble(OTHER, 20000, (1, 1), RNG(0)), a.fit_length(OTHER, 20000))
    spoken = np.concatenate([OTHER, np.zeros(SAMPLE_RATE, np.float32)])
    pauses = {
        n: np.mean(np.abs(a.babble(spoken, 4 * SAMPLE_RATE, (n, n), RNG(0))) < 1e-4) for n in (2, 8)
    }
    assert pauses[2] > 0.05 and pauses[8] < 0.02


def test_a_telephone_passes_its_band_in_coarse_steps():
    for hz, passes in ((100, False), (1000, True), (5000, False)):
        x = 0.3 * np.sin(2 * np.pi * hz * np.arange(SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
        assert (power(a.telephone(x)) / power(x) > 0.5) == passes
        assert len(a.telephone(x)) == len(x)
    error = power(a.telephone(TONE) - TONE) / power(TONE)
    assert 1e-4 < error < 1e-2  # some 38 dB of the mu-law, and the filter


def test_clipping_keeps_what_is_below_the_limit():
    got = a.clipped(TONE, 20.0)
    assert np.abs(got).max() == pytest.approx(0.03, rel=1e-3)
    soft = np.abs(TONE) < 0.029
    assert soft.any() and np.array_equal(got[soft], TONE[soft])
    assert np.array_equal(a.clipped(np.zeros(10, np.float32), 20.0), np.zeros(10, np.float32))


def test_the_direct_sound_falls_with_distance():
    click = np.zeros(SAMPLE_RATE, np.float32)
    click[0] = 1
    near, far = (a.reverberate(click, 0.5, RNG(0), (db, db)) for db in (12.0, -12.0))
    assert [10 * np.log10(x[0] ** 2 / (x[1:] ** 2).sum()) for x in (near, far)] == pytest.approx(
        [12, -12], abs=0.1
    )


def test_mix_brings_the_second_clip_to_the_same_level():
    mixed = a.mix(TONE, OTHER, 1.0)
    assert power(mixed) == pytest.approx(power(TONE), rel=1e-3)
    assert np.array_equal(a.mix(TONE, OTHER, 0.0), TONE)


def test_crop_is_at_most_the_length():
    assert len(a.crop(TONE, 1.0, RNG(0))) == SAMPLE_RATE
    assert np.array_equal(a.crop(TONE, 1.0, None), TONE[:SAMPLE_RATE])
    assert a.crop(TONE, 9.0, RNG(0)) is TONE
