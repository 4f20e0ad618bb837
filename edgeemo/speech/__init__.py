"""Streams of speech: window, voice activity, smoothing, and the profile of a speaker."""
