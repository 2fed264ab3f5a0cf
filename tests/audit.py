"""Ask for known advisories on what is locked: `python -m tests.audit [--strict]`.

pip-audit says "no known vulnerabilities" of packages that it could not ask about, and ends with a
trace where there is no network; neither is an answer. Here an unanswered question is told as one:
it fails `make audit` (--strict), and not `make check`, which must run without a network.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.txt"
SECONDS = 180


def verdict(report: dict[str, Any] | None, *, strict: bool) -> tuple[int, str]:
    """Exit status and words for what pip-audit reported; None when it reported nothing."""
    packages = report["dependencies"] if report else []
    known = [(package, flaw) for package in packages for flaw in package.get("vulns", [])]
    asked = [package for package in packages if "skip_reason" not in package]
    if known:
        lines = [
            f"{package['name']} {package['version']}: {flaw['id']}, mended in "
            + (" or ".join(flaw["fix_versions"]) or "no version yet")
            for package, flaw in known
        ]
        return 1, "\n".join(["Advisories on what is locked; lock a mended version:", *lines])
    if report and len(asked) == len(packages):
        return 0, f"No advisory is known on any of the {len(packages)} packages that are locked."
    silent = f"{len(packages) - len(asked)} of {len(packages)} packages" if report else "anything"
    return int(strict), (
        f"NOT CHECKED for advisories: the service did not answer for {silent}. "
        "Run `make audit` where the internet can be reached before you publish a new lock."
    )


def ask() -> dict[str, Any] | None:
    """What pip-audit finds on the lock file; None when it cannot reach its service."""
    command = [str(Path(sys.executable).with_name("pip-audit")), "--disable-pip", "--format=json"]
    command += ["--require-hashes", "--progress-spinner=off", "-r", str(LOCK)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        report: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError):
        return None
    return report


if __name__ == "__main__":
    status, words = verdict(ask(), strict="--strict" in sys.argv[1:])
    print(words)
    sys.exit(status)
