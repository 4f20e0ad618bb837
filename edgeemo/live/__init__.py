"""`edgeemo live`: microphone and camera, or files in their place, to a view.

engine.py    one thread for each device and its model, one queue; joins both sides
workers.py   what runs in these threads
state.py     what a view shows
views.py     lines of JSON, lines for people, a recording
terminal.py  the view in a terminal
web.py       the view in a browser, on this machine only
"""
