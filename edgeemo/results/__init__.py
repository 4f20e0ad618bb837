"""Estimates in the form that other programs read.

records.py      a table for pandas and its kin
tables.py       rows in a CSV file
sounds.py       the sound that a model has told, as a word
cues.py         stretches of time with what was found in them
utterances.py   estimates of a stream, gathered into such stretches
subtitles.py    WebVTT and SRT
annotations.py  ELAN and Audacity
writers.py      which of them a file's ending means
overlay.py      a video with its faces and a timeline drawn into it
"""
