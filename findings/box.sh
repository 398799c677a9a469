# Sourced by the findings: an empty folder that is removed at the end, and in it a virtual environment with the packages
# that are named. `python` is that environment's, and `valid_dicom` can be imported.
#
#     . "$(dirname "$0")/box.sh" pydicom==3.0.2 numpy==2.2.6
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
box=$(mktemp -d)
trap 'rm -rf "$box"' EXIT
python3 -m venv "$box/venv"
"$box/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check "$@"
export PATH="$box/venv/bin:$PATH" PYTHONPATH="$here" PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=ignore
cd "$box"
