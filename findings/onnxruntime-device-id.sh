#!/usr/bin/env bash
# Importing onnxruntime leaves a device id in the home folder.
#
# Seen with onnxruntime 1.32.0 from PyPI on x86-64 Linux (numpy 2.4.6). With an empty home folder,
# after `import onnxruntime` alone, without any model:
#
#     ~/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid         kept by each later process
#     ~/.cache/Microsoft/DeveloperTools/.onnxruntime/onnxruntime.db   a table of events
#
# What is left in the home folder where telemetry is switched off:
#
#     onnxruntime.disable_telemetry_events(), first thing after import   both files
#     ORT_DISABLE_TELEMETRY=1 before the import                          no file
#     CI=true                                                            no file, so no CI shows it
#
# Proxies are set to a closed port of this machine, so that a client that honors them sends nothing.
# Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q --disable-pip-version-check onnxruntime==1.32.0 numpy==2.4.6

# run HOME CODE [VARIABLE=VALUE]: in an environment of nothing else; lists the files in HOME then
run() {
    mkdir -p "$1"
    env -i PATH="$PATH" HOME="$PWD/$1" {http,https,all}_proxy=http://127.0.0.1:9 ${3:+"$3"} \
        venv/bin/python -c "$2"
    (cd "$1" && find . -type f -printf '%f\n' | sort | xargs)
}

both="deviceid onnxruntime.db"
plain=$(run plain "import onnxruntime")
first=$(cat plain/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid || true)
run plain "import onnxruntime" >again
second=$(cat plain/.cache/Microsoft/DeveloperTools/.onnxruntime/deviceid || true)
call=$(run call "import onnxruntime; onnxruntime.disable_telemetry_events()")
switch=$(run switch "import onnxruntime" ORT_DISABLE_TELEMETRY=1)
ci=$(run ci "import onnxruntime" CI=true)

echo "import:                   $plain"
echo "disabled after import:    $call"
echo "ORT_DISABLE_TELEMETRY=1:  ${switch:-no file}"
echo "CI=true:                  ${ci:-no file}"
if [[ $plain != "$both" || $call != "$both" || -n $switch || -n $ci ||
    -z $first || $first != "$second" ]]; then
    echo "changed: these are other files" >&2
    exit 1
fi
